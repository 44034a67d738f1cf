"""Writer, judge and answerer learn apart from one start; what collapsed is reported."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from models.decoding import Decoding
from models.objective import Objective
from models.presets import RbmShape
from models.rbm.machine import RBM
from models.rbm.whitening import fit_whitener
from tasks import rows
from tasks.checkpoints import load_answerer, load_model, newest
from tasks.errors import InputError, ModelError
from tasks.finetuning.collapse import answer_collapse, caption_collapse, hold_out, judged
from tasks.finetuning.settings import Finetuning
from tasks.finetuning.stage import finetune_answerer, finetune_captioner, finetune_filter
from tasks.fitted import load_rbm, publish_rbm
from tasks.pretraining import Pretraining, pretrain
from tasks.samples import Samples
from tasks.storage import Lake
from tasks.training import StepMetrics
from tests.small_lake import write_lake, write_selection

SMALL = Objective(momentum=0.9, queue_size=11)
HOW = Finetuning(
    steps=4,
    batch_size=5,
    learning_rate=3e-3,
    warmup_steps=1,
    checkpoint_every=2,
    objective=SMALL,
    decoding=Decoding(max_length=9, min_length=2),
)
START = "checkpoints/start"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", batch="seed", source="human")
    write_selection(lake, "seed", "seed")
    how = Pretraining(preset="test", steps=2, batch_size=5, vocab_size=80, objective=SMALL)
    list(pretrain(lake, "start", ("seed",), how))
    return lake


def test_the_captioner_learns_to_write_and_knows_where_it_came_from(lake: Lake) -> None:
    how = replace(HOW, steps=40, batch_size=11)
    steps = list(finetune_captioner(lake, "c", START, ("seed",), how))
    assert steps[-1].losses["lm"] < 0.7 * steps[0].losses["lm"]
    assert set(steps[0].losses) == {"lm"}
    facts = load_model(lake, "checkpoints/c").facts
    assert facts["half"] == "captioner"
    assert facts["started_from"].startswith("checkpoints/start/00000002#")
    assert facts["selections"] == {"seed": "digest-of-seed"}
    # Three of the eleven pictures are not trained on; they are what is looked at.
    assert (facts["pictures"], facts["held_out"], facts["collapse"]["pictures"]) == (8, 3, 3)
    assert set(steps[0].losses) == {"lm"}
    assert steps[-1].losses["identical_captions"] == facts["collapse"]["identical_captions"]
    assert steps[-1].losses["collapsed"] == float(facts["collapse"]["collapsed"])


@pytest.fixture
def machine(lake: Lake) -> str:
    """The run of an RBM over vectors as wide as the start's."""
    rows = torch.randn(211, 28, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whitener = fit_whitener([rows], 14)
    made = RBM(whitener.n_kept, 5)
    made.initialise(whitener.transform(rows), torch.Generator().manual_seed(1))
    publish_rbm(lake, "machine", made, whitener, {"metrics": {"log_z": 0.0}})
    return "machine"


def test_a_captioner_learns_to_hear_an_rbm_and_its_checkpoint_keeps_it(
    lake: Lake, machine: str
) -> None:
    how = replace(HOW, rbm=machine, rbm_tokens=3)
    list(finetune_captioner(lake, "h", START, ("seed",), how))
    model = load_model(lake, "checkpoints/h").model
    assert model.shape.rbm == RbmShape(hidden=5, tokens=3)
    assert model.rbm_tokens is not None
    assert float(model.rbm_tokens.gate.detach()) != 0
    again = list(islice(finetune_captioner(lake, "half", START, ("seed",), how), 2))
    assert [step.step for step in again] == [1, 2]
    list(finetune_captioner(lake, "half", START, ("seed",), how))
    resumed = load_model(lake, "checkpoints/half").model.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed[name]), name


def test_an_rbm_that_does_not_fit_is_one_line(lake: Lake, machine: str) -> None:
    with pytest.raises(ModelError, match="there is no fitted RBM nobody"):
        next(finetune_captioner(lake, "n", START, ("seed",), replace(HOW, rbm="nobody")))
    with pytest.raises(InputError, match="a filter has no decoder to read the RBM machine"):
        next(finetune_filter(lake, "n", START, ("seed",), replace(HOW, rbm=machine)))
    narrow = fit_whitener([torch.randn(50, 6, dtype=torch.float64)], 3)
    publish_rbm(lake, "narrow", RBM(narrow.n_kept, 5), narrow, {"metrics": {"log_z": 0.0}})
    with pytest.raises(ModelError, match="narrow: the RBM reads vectors of 3 columns"):
        next(finetune_captioner(lake, "n", START, ("seed",), replace(HOW, rbm="narrow")))


def test_an_rbm_of_another_models_vectors_is_refused(lake: Lake, machine: str) -> None:
    fitted, own = load_rbm(lake, machine), load_model(lake, START).name
    record = {"metrics": fitted.metrics, "embedded_by": ["checkpoints/other/00000001#0a1b2c"]}
    publish_rbm(lake, "others", fitted.machine, fitted.whitener, record)
    with pytest.raises(
        ModelError, match=r"others was fitted on vectors of checkpoints/other.* fit"
    ):
        next(finetune_captioner(lake, "n", START, ("seed",), replace(HOW, rbm="others")))
    assert not lake.exists("checkpoints/n")
    # The same weights under another address are the same model.
    record["embedded_by"] = [f"models:/caplift-blip/3#{own.rpartition('#')[2]}"]
    publish_rbm(lake, "own", fitted.machine, fitted.whitener, record)
    assert next(finetune_captioner(lake, "o", START, ("seed",), replace(HOW, rbm="own"))).step == 1


def test_the_filter_learns_to_judge_without_writing(lake: Lake) -> None:
    steps = list(finetune_filter(lake, "f", START, ("seed",), HOW))
    assert set(steps[0].losses) == {"itc", "itm", "itm_accuracy"}
    before = load_model(lake, START).model
    after = load_model(lake, "checkpoints/f").model
    assert not torch.equal(before.match_head.weight, after.match_head.weight)
    assert torch.equal(before.language.bias, after.language.bias)


@pytest.mark.parametrize("finetune", [finetune_captioner, finetune_filter, finetune_answerer])
def test_finetuning_resumes_bit_for_bit(
    lake: Lake, finetune: Callable[..., Iterator[StepMetrics]]
) -> None:
    questions_of(lake)
    texts = ("asked",) if finetune is finetune_answerer else ("seed",)
    whole = list(finetune(lake, "whole", START, texts, HOW))
    begun = list(islice(finetune(lake, "cut", START, texts, HOW), 3))
    rest = list(finetune(lake, "cut", START, texts, HOW))
    assert [m.total for m in begun[:2] + rest] == [m.total for m in whole]
    assert list(finetune(lake, "cut", START, texts, HOW)) == []
    found = newest(lake, "cut")
    assert found is not None
    assert found.facts["start_facts"]["stage"] == "pretraining"


def test_a_captioner_with_one_text_for_all_pictures_is_called_collapsed(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load_model(lake, START)
    with torch.no_grad():
        loaded.model.language.bias[loaded.tokenizer.encode_prompt("wall")[1]] = 1e4
    samples = Samples(lake, ("seed",), 16)
    held_out = hold_out(samples, 0.3)
    with caplog.at_level(logging.WARNING):
        found = caption_collapse(loaded, samples, held_out, HOW.decoding)
    assert found["collapsed"]
    assert found["distinct"] == 1
    assert found["degenerate_captions"] == 1.0
    assert "the captioner has collapsed: of 3 pictures held out 3 are called 'wall" in caplog.text


def test_collapse_is_measured_by_loops_and_by_likeness(caplog: pytest.LogCaptureFixture) -> None:
    fine = judged(["a red wall", "a blue wall", "a dog", "a dog"])
    assert (fine["identical_captions"], fine["repeated_ngrams"], fine["distinct"]) == (0.5, 0, 3)
    assert not fine["collapsed"]
    assert caplog.text == ""
    # Of three pairs of words each, the last two repeat the first; the texts differ.
    loops = judged(["post post post post", "red red red red", "a b c d"])
    assert loops["repeated_ngrams"] == pytest.approx(4 / 9)
    assert loops["degenerate_captions"] == pytest.approx(2 / 3)
    assert judged(["post post post post", "red red red red"])["collapsed"]
    assert "67 % of word pairs repeat" in caplog.text
    assert judged([f"{word} dog" for word in "abcdef"] + ["a dog"] * 30)["collapsed"]


def test_what_is_held_out_is_never_trained_on_and_the_same_each_time(lake: Lake) -> None:
    first, again = Samples(lake, ("seed",), 16), Samples(lake, ("seed",), 16)
    held_out = hold_out(first, 0.3)
    assert [s.key for s in held_out] == [s.key for s in hold_out(again, 0.3)]
    assert not {s.key for s in held_out} & {s.key for s in first.samples}
    assert len(held_out) + len(first) == 11
    assert len(hold_out(Samples(lake, ("seed",), 16), 0.0)) == 11  # then all are looked at


def test_pictures_may_be_larger_than_the_start_was_trained_on(lake: Lake) -> None:
    how = replace(HOW, image_size=24, prompt="a wall")
    list(finetune_captioner(lake, "c", START, ("seed",), how))
    model = load_model(lake, "checkpoints/c").model
    assert model.shape.vision.image_size == 24
    assert model.vision.positions.shape[1] == 1 + 3 * 3
    with pytest.raises(InputError, match=r"cannot be finetuned at 23 px: vision\.patch"):
        list(finetune_captioner(lake, "d", START, ("seed",), replace(HOW, image_size=23)))


def test_a_prompt_that_leaves_no_room_is_refused_before_anything_is_learned(lake: Lake) -> None:
    how = replace(HOW, prompt="a red wall " * 4)
    with pytest.raises(InputError, match=r"prompt takes 13 tokens .* decoding\.max_length is 9"):
        list(finetune_captioner(lake, "c", START, ("seed",), how))
    how = replace(HOW, decoding=Decoding(max_length=33))
    with pytest.raises(InputError, match=r"decoding\.max_length is 33, but .* has 32 positions"):
        list(finetune_captioner(lake, "c", START, ("seed",), how))
    assert lake.folders("checkpoints") == ["start"]


def questions_of(lake: Lake) -> None:
    """Ask of every picture which colour it has; three people say so and one is unsure."""
    for shard in lake.planned("seed"):
        path = lake.rows("selections", "seed", shard)
        asked = [
            {**row, "text": f"which colour\n{row['text'].split()[1]}\n{row['text'].split()[1]}\nno"}
            for row in rows.read_rows(lake, path).to_pylist()
        ]
        path = lake.rows("selections", "asked", shard)
        rows.write_rows(lake, path, rows.table_of(asked, rows.SELECTIONS))
    lake.publish_json("selections/asked/selection.json", {"id": "asked", "digest": "of-asked"})


def test_the_answerer_learns_to_answer_and_says_how_well(lake: Lake) -> None:
    questions_of(lake)
    how = replace(HOW, steps=40, batch_size=7, checkpoint_every=40)
    steps = list(finetune_answerer(lake, "q", START, ("asked",), how))
    assert steps[-1].losses["lm"] < 0.7 * steps[0].losses["lm"]
    loaded = load_answerer(lake, "checkpoints/q")
    found = loaded.facts["collapse"]
    assert found["questions"] == 3
    assert 0 <= found["vqa_accuracy"] <= 1
    assert steps[-1].losses["vqa_accuracy"] == found["vqa_accuracy"]
    # What it answers goes on learning from where it stands.
    more = list(finetune_answerer(lake, "r", "checkpoints/q", ("asked",), how))
    assert more[0].losses["lm"] < steps[0].losses["lm"]


def test_an_answerer_that_says_one_thing_is_called_collapsed(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    questions_of(lake)
    list(finetune_answerer(lake, "q", START, ("asked",), HOW))
    loaded, samples = load_answerer(lake, "checkpoints/q"), Samples(lake, ("asked",), 16)
    with torch.no_grad():
        loaded.model.language.bias[loaded.tokenizer.sep] = 1e4
    with caplog.at_level(logging.WARNING):
        found = answer_collapse(loaded, samples, samples.samples)
    assert found["collapsed"]
    assert "it answers '' to 100 %" in caplog.text


def test_captions_teach_no_answers(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"seed cannot teach answers: 'a .* has no answer"):
        list(finetune_answerer(lake, "q", START, ("seed",), HOW))
    assert lake.folders("checkpoints") == ["start"]


def test_a_missing_start_is_a_line(lake: Lake) -> None:
    with pytest.raises(ModelError, match="there is no checkpoint checkpoints/none"):
        list(finetune_captioner(lake, "c", "checkpoints/none", ("seed",), HOW))
    assert lake.folders("checkpoints") == ["start"]
