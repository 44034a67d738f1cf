"""Zero-shot and probe are scored on labels as they come, and the command runs every task.

Pictures are flat colours, which an untrained model's vision tells apart.
"""

from pathlib import Path

import pytest
import torch

from tasks import rows
from tasks.errors import CapliftError, InputError
from tasks.evaluation.__main__ import main
from tasks.evaluation.labels import Labels, labelled
from tasks.evaluation.probe import PENALTIES, Probe, best_penalty, probe
from tasks.evaluation.report import compare, read_report
from tasks.evaluation.zero_shot import ZeroShot, classify, top_measures
from tasks.settings import nested
from tests.judged import MODEL, N, judged_root, lake_of, write_json
from tests.small_lake import COLOURS, colour_of, picture_key


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_root(tmp_path_factory.mktemp("judged"))


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
        ('[{"file": "a.jpg", "label": ["warm"]}]', "a row without 'label'"),
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
