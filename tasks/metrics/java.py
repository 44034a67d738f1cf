"""METEOR and SPICE: scores whose only reference is a Java program, for who has Java.

The programs are those that pycocoevalcap carries; none is fetched. METEOR starts in ten seconds and
takes 2 GB. SPICE needs 8 GB, and Stanford CoreNLP 3.6.0 in pycocoevalcap's `spice/lib`.
"""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tasks.errors import InputError
from tasks.metrics.bootstrap import Measure, mean_of, meteor_of
from tasks.metrics.meteor import summable
from tasks.metrics.ngrams import Captions, References, check_paired
from tasks.metrics.tokens import Words

PROGRAMS = {"meteor": "meteor/meteor-1.5.jar", "spice": "spice/spice-1.0.jar"}
CORENLP = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


def java_measures(
    names: tuple[str, ...], captions: Captions, references: References
) -> dict[str, Measure]:
    """Return the named scores of one caption an image.

    Args:
        names: of `PROGRAMS`.
        captions: N captions.
        references: N lists of what people wrote.

    Raises:
        InputError: there is no Java or no program, or the program fails.
    """
    if names:
        check_paired(captions, references)
    run = {"meteor": _meteor, "spice": _spice}
    return {name: run[name](program(name), captions, references) for name in names}


def program(name: str) -> Path:
    """Return where a program lies.

    Raises:
        InputError: it cannot be run on this machine.
    """
    if shutil.which("java") is None:
        raise InputError(f"{name} needs Java, and there is no `java` on the PATH; leave it out")
    found = importlib.util.find_spec("pycocoevalcap")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise InputError(f"{name} needs `pip install pycocoevalcap`, which carries its program")
    jar = Path(places[0]) / PROGRAMS[name]
    lost = [one for one in CORENLP if name == "spice" and not (jar.parent / "lib" / one).is_file()]
    if lost:
        raise InputError(
            f"spice needs {' and '.join(lost)} in {jar.parent / 'lib'}; unpack Stanford CoreNLP "
            "3.6.0 there (it is not fetched by itself), or leave spice out"
        )
    return jar


def _meteor(jar: Path, captions: Captions, references: References) -> Measure:
    lines = [
        " ||| ".join(("SCORE", *(_line(text) for text in own), _line(caption)))
        for caption, own in zip(captions, references, strict=True)
    ]
    options = ["-Xmx2G", "-jar", jar.name, "-", "-", "-stdio", "-l", "en", "-norm"]
    said = _run(jar, options, "\n".join(lines) + "\n").splitlines()
    if len(said) != len(lines):
        raise InputError(f"METEOR answered {len(said)} of {len(lines)} lines; run it again")
    counts = np.array([[float(part) for part in one.split()] for one in said])
    return meteor_of(summable(counts))


def _spice(jar: Path, captions: Captions, references: References) -> Measure:
    told = [
        {"image_id": number, "test": _line(caption), "refs": [_line(text) for text in own]}
        for number, (caption, own) in enumerate(zip(captions, references, strict=True))
    ]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered, kept = (Path(folder, name) for name in ("in.json", "out.json", "cache"))
        asked.write_text(json.dumps(told))
        kept.mkdir()
        options = ["-Xmx8G", "-jar", jar.name, str(asked), "-cache", str(kept)]
        _run(jar, [*options, "-out", str(answered), "-subset", "-silent"], "")
        scored = json.loads(answered.read_text())
    found = {one["image_id"]: one["scores"]["All"]["f"] for one in scored}
    return mean_of(np.array([float(found[number]) for number in range(len(told))]))


def _line(text: Words) -> str:
    return " ".join(text).replace("|||", "")


def _run(jar: Path, options: list[str], asked: str) -> str:
    done = subprocess.run(
        ["java", *options], cwd=jar.parent, input=asked, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise InputError(f"{jar.name} ended with {done.returncode} ({reason:.150})")
    return done.stdout
