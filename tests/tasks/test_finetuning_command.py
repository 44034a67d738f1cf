"""One command takes a person's own pictures to a finetuned model, and does it again for nothing."""

import json
from pathlib import Path

import pytest

from models.objective import Objective
from tasks.checkpoints import load_answerer, load_model, save_checkpoint
from tasks.commands import run_command
from tasks.exporting import export
from tasks.finetuning.__main__ import main
from tasks.pretraining import Pretraining, pretrain
from tasks.storage import Lake, open_lake
from tests.small_lake import COLOURS, NAMES, jpeg_of, write_lake, write_selection

QUICK = [
    "steps=3",
    "batch_size=5",
    "objective.queue_size=11",
    "decoding.max_length=9",
    "decoding.min_length=2",
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = write_lake(tmp_path_factory.mktemp("lake") / "lake", batch="seed", source="human")
    write_selection(lake, "seed", "seed")
    small = Objective(momentum=0.9, queue_size=11)
    how = Pretraining(preset="test", steps=2, batch_size=5, vocab_size=80, objective=small)
    list(pretrain(lake, "start", ("seed",), how))
    return lake


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    asked = []
    for name in NAMES:
        (folder / f"{name}.jpg").write_bytes(jpeg_of(COLOURS[name]))
        (folder / f"{name}.txt").write_text(f"a {name} wall\n")
        asked.append({"image": f"{name}.jpg", "question": "which colour", "answers": [name, name]})
    (folder / "questions.jsonl").write_text("\n".join(json.dumps(one) for one in asked))
    return folder


def run(lake: Lake, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(main, [arguments[0], lake.root, *arguments[1:]]) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("kind", ["captioner", "filter"])
def test_a_folder_of_pictures_is_enough(
    lake: Lake, own: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    prompt = ["prompt=a"] if kind == "captioner" else []
    uri = run(lake, capsys, kind, "checkpoints/start", str(own), *QUICK, *prompt)
    facts = load_model(lake, uri).facts
    assert facts["half"] == kind
    assert facts["settings"]["prompt"] == ("a" if kind == "captioner" else "")
    # The same command again finds it done, from the same pictures.
    assert run(lake, capsys, kind, "checkpoints/start", str(own), *QUICK, *prompt) == uri


def test_questions_from_a_list_make_a_model_that_answers(
    lake: Lake, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(own / "questions.jsonl")
    uri = run(lake, capsys, "vqa", "checkpoints/start", source, *QUICK)
    assert load_answerer(lake, uri).facts["collapse"]["questions"] == 3


def test_a_selection_of_the_lake_serves_as_well(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = run(lake, capsys, "filter", "checkpoints/start", "selection:seed", "--name", "f", *QUICK)
    assert uri == "checkpoints/f/00000003"


def test_a_lake_may_be_new_and_the_start_a_file_of_others(
    lake: Lake, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blip = load_model(lake, "checkpoints/start")
    assert blip.model.shape.vision.stem == "patch"
    folder = export(lake, "checkpoints/start", tmp_path / "theirs", "captioner")
    fresh = open_lake(str(tmp_path / "fresh"), create=True)
    uri = run(fresh, capsys, "captioner", str(folder), str(own), *QUICK)
    facts = load_model(fresh, uri).facts
    assert facts["start_facts"]["imported_from"] == str(folder)
    assert facts["started_from"].startswith(f"{folder}#")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "there is no nowhere; give a folder"),
        (["OWN", "step=3"], "step is not a setting; Finetuning has steps"),
        (["OWN", "steps=few"], "steps wants int, got 'few'"),
        (["OWN", "steps"], "a setting is name=value, each once; 'steps' is not"),
        (["selection:lost"], "selection 'lost' is missing or unfinished"),
    ],
)
def test_what_is_wrong_is_one_line(
    lake: Lake, own: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    given = [str(own) if one == "OWN" else one for one in arguments]
    assert run_command(main, ["captioner", lake.root, "checkpoints/start", *given]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_a_start_that_learned_on_is_another_start(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_model(lake, "checkpoints/start")
    made = []
    for step in (3, 5):
        save_checkpoint(lake, "growing", step, loaded.model, loaded.tokenizer, {}, {})
        given = ("captioner", "checkpoints/growing", "selection:seed", *QUICK)
        made += [run(lake, capsys, *given), run(lake, capsys, *given)]
        loaded.model.temperature.data += 0.01
    first, again, other, again_other = made
    assert first == again != other == again_other


def test_a_missing_start_takes_no_pictures_in(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = open_lake(str(tmp_path / "fresh"), create=True)
    arguments = ["filter", lake.root, "checkpoints/lost", str(own), *QUICK]
    assert run_command(main, arguments) == 2
    assert "there is no checkpoint checkpoints/lost" in capsys.readouterr().err
    assert list(Path(lake.root).iterdir()) == []


def test_the_help_shows_every_kind_and_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    for word in ("captioner", "filter", "vqa", ".jsonl", ".parquet", ".tar", "selection:ID"):
        assert word in said
