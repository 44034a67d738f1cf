"""The evaluation flow takes every kind of exam by its settings, as its deployment is given them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.evaluation.exams import Exam
from tasks.evaluation.report import read_report
from tasks.evaluation.video import Videos
from tests.judged import MODEL, judged_root, lake_of, write_json
from tests.small_lake import colour_of

ROOT = Path(__file__).resolve().parents[2]
# As a worker does: parameters are JSON, and the flow's own types are made of them.
SCRIPT = """
import json, sys
from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
set_defaults(PREFECT_DEFAULTS, QUIET)
from flows.evaluation import evaluation
lake, model, exams = sys.argv[1:]
print(json.dumps([evaluation(model=model, exam=one, lake=lake) for one in json.loads(exams)]))
"""


@pytest.mark.slow
def test_each_exam_leaves_a_report_of_its_own_kind(tmp_path: Path) -> None:
    root, home = judged_root(tmp_path), tmp_path / "home"
    home.mkdir()
    exams = [
        {"zero_shot": {"labels": {"images": f"{root}/train"}, "bootstrap": 7}},
        {"probe": {"train": {"images": f"{root}/train"}, "test": {"images": f"{root}/test"}}},
        {"answers": _questions(root)},
        {"video": _clips(root)},
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root / "lake"), MODEL, json.dumps(exams)],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout.splitlines()[-1])
    reports = [read_report(lake_of(root), run) for run in runs]
    assert [one.task for one in reports] == ["zero-shot", "probe", "answers", "video"]
    assert [one.images for one in reports] == [15, 6, 3, 3]
    assert all(one.leakage["training_pictures"] == 1 for one in reports)
    names = ("top_1", "top_1", "vqa_accuracy", "itm_ir_r1")
    assert all(name in one.scores for name, one in zip(names, reports, strict=True))


def _questions(root: Path) -> dict[str, Any]:
    asked = [
        {"question_id": at, "image": f"red/test{shade}.jpg", "question": "what", "answer": ["red"]}
        for at, shade in enumerate((1, 2, 1))
    ]
    path = write_json(root / "questions.json", asked)
    images = str(root / "test")
    decoding = {"method": "greedy", "max_length": 12, "min_length": 0, "repetition_penalty": 1.0}
    return {"questions": path, "images": images, "by": "captioner", "decoding": decoding}


def _clips(root: Path) -> dict[str, Any]:
    clips = [{"clip_name": f"video{at}", "caption": f"a {colour_of(at)} wall"} for at in range(3)]
    path = write_json(root / "clips.json", clips)
    return {"annotations": path, "videos": str(root / "videos"), "frames": 2, "bootstrap": 7}


def test_an_exam_is_of_exactly_one_kind() -> None:
    videos = Videos(annotations="a.json", videos="v")
    assert (Exam(video=videos).task, Exam(video=videos).settings) == ("video", videos)
    with pytest.raises(InputError, match="not none of them; evaluate once for each"):
        Exam()
