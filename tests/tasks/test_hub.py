"""A BLIP of the hub is an address: from the cache without a network, else one line says what to do.

The hub is a port of this machine that nothing listens on; the cache is laid out as the hub's own
library lays it out.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.blip import Blip
from models.exchange import to_captioner
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import resolved
from tasks.hub import hub_id, weights_stamp
from tasks.storage import Lake

NAMED = "Somebody/tiny-blip"
NOWHERE = "http://127.0.0.1:9"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg", "red", "square"]
SCRIPT = """
import json, sys
from tasks.checkpoints import load_model, resolved
from tasks.errors import ModelError
from tasks.storage import Lake

lake = Lake(sys.argv[1])
try:
    loaded = load_model(lake, sys.argv[2])
    found = [loaded.name, loaded.facts["halves"], resolved(lake, sys.argv[2])[1]]
except ModelError as error:
    found = [str(error)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner in transformers' format, with its vocabulary."""
    found = tmp_path_factory.mktemp("theirs")
    (found / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    tokenizer = Tokenizer.bert(found / "vocab.txt")
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3)
    to_captioner(model, tokenizer).save_pretrained(found)
    return found


def cached(home: Path, folder: Path) -> None:
    """Lay a folder out as a download of the hub lies in its cache."""
    place = home / "hub" / f"models--{NAMED.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folder, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)


def asked(home: Path, tmp_path: Path, address: str) -> list[object]:
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": NOWHERE}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), address]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("prefix", ["", "hub:"])
def test_a_cached_model_loads_where_the_hub_cannot_be_reached(
    folder: Path, tmp_path: Path, prefix: str
) -> None:
    cached(tmp_path / "home", folder)
    name, halves, stamp = asked(tmp_path / "home", tmp_path, f"{prefix}{NAMED}")
    assert str(name).startswith(f"{prefix}{NAMED}#")
    assert halves == ["captioner"]
    assert stamp == weights_stamp(folder)


def test_without_cache_and_hub_one_line_says_what_to_do(tmp_path: Path) -> None:
    (line,) = asked(tmp_path / "home", tmp_path, NAMED)
    assert "the hub cannot be reached for a model of that name; fetch it" in str(line)
    assert f"hf download {NAMED}" in str(line)
    assert "\n" not in str(line)


def test_a_cached_model_without_weights_is_refused_in_a_line(folder: Path, tmp_path: Path) -> None:
    cached(tmp_path / "home", folder)
    next((tmp_path / "home").rglob("model.safetensors")).unlink()
    (line,) = asked(tmp_path / "home", tmp_path, NAMED)
    assert str(line).count("\n") == 0
    assert NAMED in str(line)


def test_a_folder_of_that_name_here_comes_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_id(NAMED) == NAMED
    Path(NAMED).mkdir(parents=True)
    assert hub_id(NAMED) == ""
    assert hub_id(f"hub:{NAMED}") == NAMED


@pytest.mark.parametrize(
    "other",
    ["checkpoints/run", "checkpoints/run/00000001", "models:/caplift-filter@champion", "a/b/c",
     "/models/folder", "name", "../folder"],
)  # fmt: skip
def test_other_addresses_are_not_taken_for_the_hubs(other: str) -> None:
    assert hub_id(other) == ""


def test_other_weights_in_the_same_folder_are_another_model(folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "copy"
    shutil.copytree(folder, here)
    before = resolved(Lake(str(tmp_path)), str(here))
    weights = here / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    after = resolved(Lake(str(tmp_path)), str(here))
    assert before[0] == after[0]
    assert before[1] != after[1]
