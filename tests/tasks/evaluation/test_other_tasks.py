"""Zero-shot, probe, questions and video are scored from files as they come, on a model as it is.

Pictures are flat colours, which an untrained model's vision tells apart.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import save_checkpoint
from tasks.errors import CapliftError, InputError
from tasks.evaluation.__main__ import main, nested
from tasks.evaluation.answers import Answers, answer_questions
from tasks.evaluation.labels import Labels, labelled
from tasks.evaluation.probe import PENALTIES, Probe, best_penalty, probe
from tasks.evaluation.report import compare, read_report
from tasks.evaluation.video import Videos, pooled, read_clips, read_frames, retrieve_videos
from tasks.evaluation.zero_shot import ZeroShot, classify, top_measures
from tasks.metrics.vqa import vqa_accuracy
from tasks.storage import Lake
from tests.small_lake import (
    COLOURS,
    caption_of,
    colour_of,
    jpeg_of,
    picture_key,
    write_lake,
    write_selection,
)

MODEL = "checkpoints/a"
N = 11


def write_json(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with eleven evaluated pictures and a model that was trained on one of another batch.

    Beside it a table of the colours, folders by colour, and 3 videos of 11 frames.
    """
    root = tmp_path_factory.mktemp("tasks")
    write_lake(root / "lake", batch="evaluation", counts=(N,), source="human")
    lake = write_lake(root / "lake", batch="web", counts=(1,))
    write_selection(lake, "kept", "web")
    texts = [caption_of(number) for number in range(N)]
    tokenizer = Tokenizer.train([*texts, "question what colour is this answer"], 120)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3)
    save_checkpoint(lake, "a", 1, model, tokenizer, {"selections": {"kept": "digest"}})
    lines = [
        json.dumps({"url": f"http://site/evaluation/{at}.jpg", "colour": colour_of(at)})
        for at in range(N)
        for _ in range(2)  # a line a caption, as tables come
    ]
    (root / "labels.jsonl").write_text("\n".join(lines))
    for split, shades in (("train", (0, 3, 5, 7, 9)), ("test", (1, 2))):
        for name in ("red", "blue", "white"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for shade in shades:
                colour = tuple(max(0, part - shade) for part in COLOURS[name])
                (folder / f"{split}{shade}.jpg").write_bytes(jpeg_of(colour))  # type: ignore[arg-type]
    (root / "videos").mkdir()
    for number, name in enumerate(("red", "green", "blue")):
        write_video(root / "videos" / f"video{number}.avi", [COLOURS[name]] * 11)
    return root


def write_video(path: Path, colours: Sequence[tuple[int, int, int]]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (48, 32))
    for colour in colours:
        writer.write(np.full((32, 48, 3), colour[::-1], dtype=np.uint8))
    writer.release()


def lake_of(root: Path) -> Lake:
    return Lake(str(root / "lake"))


def test_labels_come_from_a_table_of_addresses_or_from_folders(root: Path) -> None:
    table = Labels(table=str(root / "labels.jsonl"), column="colour")
    found = labelled(lake_of(root), table)
    assert [one.key for one in found.pictures] == sorted(
        picture_key("evaluation", at) for at in range(N)
    )
    number = {picture_key("evaluation", at): at for at in range(N)}
    assert found.labels == [colour_of(number[one.key]) for one in found.pictures]
    assert found.classes == tuple(sorted(COLOURS))
    folders = labelled(lake_of(root), Labels(images=str(root / "train")))
    assert sorted(folders.labels) == ["blue"] * 5 + ["red"] * 5 + ["white"] * 5
    assert all(
        one.tar.split("/")[0] == label
        for one, label in zip(folders.pictures, folders.labels, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "file,label\nred/train0.jpg,warm\nblue/train3.jpg,cold\n"),
        ("labels.tsv", "image\tlabel\nred/train0.jpg\twarm\nblue/train3.jpg\tcold\n"),
        (
            "labels.json",
            '[{"path": "red/train0.jpg", "label": "warm"},'
            ' {"path": "blue/train3.jpg", "label": "cold"}]',
        ),
    ],
)
def test_a_table_may_name_files(root: Path, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    where = Labels(table=str(tmp_path / name), images=str(root / "train"))
    found = labelled(lake_of(root), where)
    told = {one.tar: label for one, label in zip(found.pictures, found.labels, strict=True)}
    assert told == {"red/train0.jpg": "warm", "blue/train3.jpg": "cold"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,label\na.jpg,warm\na.jpg,cold\n", "two classes of a.jpg: warm, cold"),
        ("file,kind\na.jpg,warm\n", "a row without 'label'"),
        ("name,label\na.jpg,warm\n", "without a picture's name"),
        ('{"file": "a.jpg"', "no table of labels"),
        ("", "no picture of"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_in_one_line(
    root: Path, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "labels.csv").write_text(content)
    where = Labels(table=str(tmp_path / "labels.csv"), images=str(root / "train"))
    with pytest.raises(InputError, match=said) as raised:
        labelled(lake_of(root), where)
    assert "\n" not in str(raised.value)


def test_top_k_counts_the_right_class_and_ties_are_in_no_order(root: Path) -> None:
    exam = labelled(lake_of(root), Labels(images=str(root / "test")))
    scores = torch.zeros(6, 3)
    for at, label in enumerate(exam.labels):
        scores[at, exam.classes.index(label)] = 1.0 if at < 4 else 0.0
    top = top_measures(scores, exam)["top_1"]
    assert top.rows[:, 0].tolist() == pytest.approx([1, 1, 1, 1, 1 / 3, 1 / 3])


def test_zero_shot_is_the_nearest_mean_of_prompts(root: Path) -> None:
    labels = Labels(table=str(root / "labels.jsonl"), column="colour")
    how = ZeroShot(labels=labels, bootstrap=31, templates=("a {} wall", "a {} field"))
    report = classify(lake_of(root), "zero", MODEL, how)
    assert (report.task, report.images) == ("zero-shot", N)
    table = rows.read_rows(lake_of(root), "evaluations/zero/rows.parquet").to_pylist()
    right = sum(row["label"] == row["predicted"] for row in table) / N
    assert report.scores["top_1"].value == pytest.approx(right)
    assert report.baselines["chance"]["top_1"].value == pytest.approx(1 / 7)
    # Seven colours, four of them twice: the commonest tie.
    assert report.baselines["commonest"]["top_1"].value == pytest.approx(2 / N)
    assert report.leakage["training_pictures"] == 1
    assert read_report(lake_of(root), "zero") == report
    assert compare(lake_of(root), report, report)["top_1"].difference.value == 0


def test_settings_of_zero_shot_that_say_nothing_are_refused(root: Path) -> None:
    labels = Labels(images=str(root / "train"))
    with pytest.raises(InputError, match=r"one \{\} each"):
        ZeroShot(labels=labels, templates=("a photo",))
    with pytest.raises(InputError, match="class=name"):
        ZeroShot(labels=labels, names=("n01440764",))
    with pytest.raises(InputError, match="from a table, or from the folders"):
        Labels()
    one = ZeroShot(labels=Labels(images=str(root / "train"), table=""), names=("red=crimson",))
    assert one.spoken == {"red": "crimson"}


@pytest.mark.parametrize("features", ["embedding", "token"])
def test_a_probe_reads_off_what_the_vision_tells_apart(root: Path, features: str) -> None:
    how = Probe(
        train=Labels(images=str(root / "train")),
        test=Labels(images=str(root / "test")),
        features=features,
        bootstrap=31,
    )
    report = probe(lake_of(root), f"probe-{features}", MODEL, how)
    assert report.images == 6
    assert report.scores["top_1"].value == 1.0
    assert report.baselines["commonest"]["top_1"].value == pytest.approx(1 / 3)
    assert report.settings["l2"] in PENALTIES


def test_the_penalty_is_the_one_that_does_best_on_held_out_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(60) % 2
    features = torch.randn(60, 41, generator=generator) + 0.4 * classes[:, None]
    is_held_out = torch.arange(60) >= 43
    assert best_penalty(features, classes, is_held_out) > PENALTIES[0]
    assert best_penalty(features, classes, is_held_out & False) == PENALTIES[3]


def test_a_probe_is_not_tried_on_what_it_was_fitted_on_nor_on_unknown_classes(root: Path) -> None:
    train, colours = (
        Labels(images=str(root / "train")),
        Labels(table=str(root / "labels.jsonl"), column="colour"),
    )
    with pytest.raises(InputError, match="15 pictures are in"):
        probe(lake_of(root), "p", MODEL, Probe(train=train, test=train))
    with pytest.raises(InputError, match="such as 'black'"):
        probe(lake_of(root), "p", MODEL, Probe(train=train, test=colours))
    assert not lake_of(root).exists("evaluations/p/metrics.json")


QUESTIONS = {
    "questions": [
        {"image_id": at, "question": text, "question_id": 10 * at}
        for at, text in enumerate(("What colour is this?", "How many?", "What colour is this?"))
    ]
}
ANNOTATIONS = {
    "annotations": [
        {
            "question_id": 10 * at,
            "image_id": at,
            "answer_type": kind,
            "question_type": "what",
            "multiple_choice_answer": said[0],
            "answers": [
                {"answer": one, "answer_confidence": "yes", "answer_id": place + 1}
                for place, one in enumerate(said)
            ],
        }
        for at, (kind, said) in enumerate(
            (
                ("other", ["red"] * 8 + ["blue", "pink"]),
                ("number", ["2"] * 10),
                ("yes/no", ["blue"] * 2 + ["green"] * 8),
            )
        )
    ]
}


def test_given_answers_are_scored_by_kind(root: Path, tmp_path: Path) -> None:
    given = [{"question_id": 10 * at, "answer": a} for at, a in enumerate(("Red.", "two", "blue"))]
    how = Answers(
        questions=write_json(tmp_path / "q.json", QUESTIONS),
        annotations=write_json(tmp_path / "a.json", ANNOTATIONS),
        results=write_json(tmp_path / "r.json", given),
        bootstrap=31,
    )
    report = answer_questions(lake_of(root), "given", "somebody's", how)
    last = (2 * (1 / 3) + 8 * (2 / 3)) / 10
    assert report.scores["vqa_accuracy"].value == pytest.approx((1 + 1 + last) / 3)
    assert report.scores["vqa_accuracy_yes_no"].value == pytest.approx(last)
    assert report.scores["vqa_accuracy_number"].value == 1
    assert report.model == "somebody's"
    write_json(tmp_path / "r.json", given[:2])
    with pytest.raises(InputError, match="answers 2 of 3 questions; 20, for one"):
        answer_questions(lake_of(root), "given", "somebody's", how)


def test_a_captioner_continues_each_question(root: Path, tmp_path: Path) -> None:
    blip = [
        {"question_id": at, "question": text, "image": f"{name}/test1.jpg", "answer": people}
        for at, (text, name, people) in enumerate(
            (
                ("what colour is this", "red", ["red", "red"]),
                ("is this a wall", "blue", "yes"),
                ("what colour is this", "white", ["white"]),
            )
        )
    ]
    how = Answers(
        questions=write_json(tmp_path / "vqa_val.json", blip),
        images=str(root / "test"),
        decoding=Decoding(method="greedy", max_length=20, min_length=0),
        bootstrap=31,
    )
    report = answer_questions(lake_of(root), "asked", MODEL, how)
    table = rows.read_rows(lake_of(root), "evaluations/asked/rows.parquet").to_pylist()
    assert [row["question"] for row in table] == [one["question"] for one in blip]
    worth = [vqa_accuracy(row["answer"], row["people"]) for row in table]
    assert report.scores["vqa_accuracy"].value == pytest.approx(sum(worth) / 3)
    assert report.leakage["training_pictures"] == 1
    short = dataclasses.replace(how, decoding=Decoding(max_length=3, min_length=0))
    with pytest.raises(InputError, match="cannot be continued"):
        answer_questions(lake_of(root), "x", MODEL, short)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"question": "x"}], "not questions and answers of VQA v2"),
        ({"questions": [{"question_id": 1, "image_id": 2, "question": "x"}]}, "no question of"),
        (3, "not questions and answers"),
    ],
)
def test_questions_that_cannot_be_used_are_refused(
    root: Path, tmp_path: Path, value: Any, said: str
) -> None:
    how = Answers(questions=write_json(tmp_path / "q.json", value), images=str(root / "test"))
    with pytest.raises(InputError, match=said):
        answer_questions(lake_of(root), "x", MODEL, how)


def test_frames_are_spaced_evenly_over_a_video(tmp_path: Path) -> None:
    shades = [(20 * at, 20 * at, 20 * at) for at in range(11)]
    write_video(tmp_path / "a.avi", shades)
    found = read_frames(tmp_path / "a.avi", 3, 8)
    assert found.shape == (3, 8, 8, 3)
    # Middles of the thirds of 11 frames: 1.83, 5.5 and 9.17.
    assert found.mean(axis=(1, 2, 3)) == pytest.approx([20, 100, 180], abs=4)
    assert len(read_frames(tmp_path / "a.avi", 17, 8)) == 17
    (tmp_path / "b.avi").write_bytes(b"no video at all")
    with pytest.raises(InputError, match="cannot be decoded as a video"):
        read_frames(tmp_path / "b.avi", 3, 8)


def test_a_video_is_the_unit_mean_of_its_frames() -> None:
    frames = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert pooled(frames).tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_videos_are_found_by_texts_and_texts_by_videos(root: Path, tmp_path: Path) -> None:
    clips = [{"clip_name": f"video{at}", "caption": f"a {colour_of(at)} wall"} for at in range(3)]
    lines = tmp_path / "msrvtt_test.jsonl"
    lines.write_text("\n".join(json.dumps(one) for one in clips))
    how = Videos(annotations=str(lines), videos=str(root / "videos"), frames=2, bootstrap=31)
    report = retrieve_videos(lake_of(root), "video", MODEL, how)
    assert (report.images, report.texts) == (3, 3)
    assert report.scores["itc_ir_r5"].value == 1.0  # all are among the first five
    assert report.baselines["chance"]["itm_ir_r1"].value == pytest.approx(1 / 3)
    plain = Videos(
        annotations=str(lines), videos=str(root / "videos"), frames=2, rerank_k=0, bootstrap=31
    )
    other = retrieve_videos(lake_of(root), "video-itc", MODEL, plain)
    assert {
        name: one for name, one in report.scores.items() if name.startswith("itc")
    } == other.scores
    lines.write_text('{"video": "video7", "caption": ["x", "y"]}')
    with pytest.raises(InputError, match="no video video7"):
        retrieve_videos(lake_of(root), "x", MODEL, how)
    assert read_clips(str(lines)) == {"video7": ["x", "y"]}
    lines.write_text('{"name": 1}')
    with pytest.raises(InputError, match="is no list of"):
        read_clips(str(lines))


def test_the_command_reads_settings_by_their_names_and_tells_every_score(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = str(root / "lake")
    main(["zero-shot", lake, MODEL, f"labels.images={root}/train", "bootstrap=7", "--run", "told"])
    said = capsys.readouterr().out.splitlines()
    top = read_report(lake_of(root), "told").scores["top_1"]
    assert said[1].split()[:2] == ["top_1", f"{top.value:.4g}"]
    assert "chance 0.3333" in said[1]
    assert said[-1] == "evaluations/told/metrics.json"
    results = [{"image_id": at, "caption": "a red wall"} for at in range(2)]
    told = {
        "images": [{"id": at, "file_name": f"{at}.jpg"} for at in range(2)],
        "annotations": [
            {"image_id": at, "caption": ("a red wall", "a dog")[at]} for at in range(2)
        ],
    }
    files = [
        f"results={write_json(tmp_path / 'r.json', results)}",
        f"annotations={write_json(tmp_path / 'c.json', told)}",
    ]
    main(["given", lake, "theirs", *files, "--run", "theirs"])
    assert read_report(lake_of(root), "theirs").scores["exact_match"].value == 0.5
    main(["captions", lake, MODEL, "max_images=3", "bootstrap=7", "--run", "few"])
    assert read_report(lake_of(root), "few").images == 3


def test_settings_on_the_command_line_are_as_strict_as_a_plan(root: Path) -> None:
    assert nested(["a.b=1", "a.c=x y", 'd=["e"]', "f=true", 'g="q"']) == {
        "a": {"b": 1, "c": "x y"},
        "d": ["e"],
        "f": True,
        "g": '"q"',
    }
    for wrong in (["a"], ["=1"], ["a=1", "a=2"], ["a=1", "a.b=2"]):
        with pytest.raises(InputError, match="a setting is name=value"):
            nested(wrong)
    with pytest.raises(CapliftError, match=r"labels\.tabel is not a setting"):
        main(["zero-shot", str(root / "lake"), MODEL, "labels.tabel=x"])
