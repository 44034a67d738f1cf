"""A GPU host with torch and transformers, but nothing of the pipeline, captions and trains."""

import json
import subprocess
import sys
from pathlib import Path

from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import newest, save_checkpoint
from tasks.fitted import load_rbm
from tasks.storage import open_lake
from tests.small_lake import write_lake, write_selection
from tests.vectors import QUICK, write_vectors

# A finder that refuses: what `import` and `find_spec` meet on a host that has nothing but what
# `dependencies` of pyproject.toml names and what those need themselves.
HOST = """
import importlib.metadata as metadata
import runpy, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

def needed(name, found):
    found.add(canonicalize_name(name))
    for line in metadata.requires(name) or []:
        one = Requirement(line)
        wanted = one.marker is None or one.marker.evaluate({"extra": ""})
        if wanted and canonicalize_name(one.name) not in found:
            try:
                needed(one.name, found)
            except metadata.PackageNotFoundError:
                pass
    return found

there = needed("caplift", set())
absent = {module for module, owners in metadata.packages_distributions().items()
          if not there & {canonicalize_name(owner) for owner in owners}}
assert {"duckdb", "mlflow", "prefect", "aiohttp", "simplejpeg", "webdataset", "sklearn"} <= absent
assert not {"torch", "transformers", "pyarrow", "fsspec", "numpy", "PIL", "cv2"} & absent
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in absent else find(name, *rest)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def on_a_bare_host(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOST, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_capfilt_runs_and_leaves_the_language_unmeasured(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", counts=(3,))
    tokenizer = Tokenizer.train(["a red square"], 60)
    save_checkpoint(lake, "blip", 1, Blip(preset("test"), tokenizer.vocab_size), tokenizer, {})
    models = ["--captioner", "checkpoints/blip", "--filter", "checkpoints/blip"]
    done = on_a_bare_host("tasks.capfilt", lake.root, "--batch", "web", *models)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("lang and lang_conf stay null") == 1
    assert len(lake.glob("scores/*/web/*.parquet")) == 1


def test_pretraining_runs(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", counts=(3,))
    write_selection(lake, "all")
    settings = {"preset": "test", "steps": 2, "batch_size": 3, "vocab_size": 60}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"selections": ["all"], "settings": settings}))
    done = on_a_bare_host("tasks.pretraining", lake.root, "r", str(plan))
    assert done.returncode == 0, done.stderr
    found = newest(lake, "r")
    assert found is not None
    assert found.is_final


def test_an_rbm_is_fitted(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    write_vectors(lake)
    settings = tmp_path / "rbm.json"
    settings.write_text(json.dumps(QUICK))
    arguments = [lake.root, "r", "--vectors", "v", "--batch", "web", "--settings", str(settings)]
    done = on_a_bare_host("tasks.rbm", *arguments)
    assert done.returncode == 0, done.stderr
    assert load_rbm(lake, "r").machine.n_hidden == QUICK["hidden"]
    assert "update 100: free energy" in done.stderr
