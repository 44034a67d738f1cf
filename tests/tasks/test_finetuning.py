"""Writer and judge learn apart from one start, and a writer that collapsed is reported."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from models.decoding import Decoding
from models.objective import Objective
from tasks.checkpoints import load_model, newest
from tasks.errors import ModelError
from tasks.finetuning import Finetuning, collapse, finetune_captioner, finetune_filter
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
    assert facts["collapse"]["pictures"] == 11


def test_the_filter_learns_to_judge_without_writing(lake: Lake) -> None:
    steps = list(finetune_filter(lake, "f", START, ("seed",), HOW))
    assert set(steps[0].losses) == {"itc", "itm", "itm_accuracy"}
    before = load_model(lake, START).model
    after = load_model(lake, "checkpoints/f").model
    assert not torch.equal(before.match_head.weight, after.match_head.weight)
    assert torch.equal(before.language.bias, after.language.bias)


@pytest.mark.parametrize("finetune", [finetune_captioner, finetune_filter])
def test_finetuning_resumes_bit_for_bit(
    lake: Lake, finetune: Callable[..., Iterator[StepMetrics]]
) -> None:
    whole = list(finetune(lake, "whole", START, ("seed",), HOW))
    begun = list(islice(finetune(lake, "cut", START, ("seed",), HOW), 3))
    rest = list(finetune(lake, "cut", START, ("seed",), HOW))
    assert [m.total for m in begun[:2] + rest] == [m.total for m in whole]
    assert list(finetune(lake, "cut", START, ("seed",), HOW)) == []
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
    with caplog.at_level(logging.WARNING):
        found = collapse(loaded, samples, HOW)
    assert found["collapsed"]
    assert found["distinct"] == 1
    assert found["degenerate_share"] == 1.0
    assert "the captioner has collapsed: of 11 pictures 11 are called 'wall" in caplog.text


def test_a_missing_start_is_a_line(lake: Lake) -> None:
    with pytest.raises(ModelError, match="there is no checkpoint checkpoints/none"):
        list(finetune_captioner(lake, "c", "checkpoints/none", ("seed",), HOW))
    assert lake.folders("checkpoints") == ["start"]
