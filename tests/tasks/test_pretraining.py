"""A run that is stopped and begun again equals one never stopped, whatever stops it."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from models.objective import Objective
from models.preprocessing import LIGHT
from models.presets import preset
from tasks import rows
from tasks.checkpoints import load_model, newest
from tasks.commands import run_command
from tasks.errors import InputError, LakeError, ModelError
from tasks.pretraining import Pretraining, main, pretrain
from tasks.samples import Samples, positions
from tasks.storage import Lake, Shard
from tasks.training import StepMetrics, step_seed
from tests.small_lake import write_lake, write_selection

HOW = Pretraining(
    preset="test",
    steps=6,
    batch_size=5,
    learning_rate=3e-3,
    warmup_steps=2,
    vocab_size=80,
    checkpoint_every=3,
    objective=Objective(momentum=0.9, queue_size=11),
    augmentation=LIGHT,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    write_selection(lake, "all")
    return lake


def learned(metrics: StepMetrics) -> tuple[object, ...]:
    return (metrics.step, metrics.total, metrics.losses, metrics.lr, metrics.grad_norm)


def test_a_resumed_run_has_bit_for_bit_the_losses_of_an_uninterrupted_one(lake: Lake) -> None:
    whole = list(pretrain(lake, "whole", ("all",), HOW))
    begun = list(islice(pretrain(lake, "killed", ("all",), HOW), 4))
    # Whatever else draws from torch's global state between the two must not matter.
    torch.rand(17)
    rest = list(pretrain(lake, "killed", ("all",), HOW))
    assert [m.step for m in rest] == [4, 5, 6]
    assert [learned(m) for m in begun[:3] + rest] == [learned(m) for m in whole]
    one = load_model(lake, "checkpoints/whole").model.state_dict()
    two = load_model(lake, "checkpoints/killed").model.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_resumed_run_in_parts_has_the_losses_of_an_uninterrupted_one(lake: Lake) -> None:
    how = replace(HOW, batch_size=6, accumulate=2)
    whole = list(pretrain(lake, "whole", ("all",), how))
    begun = list(islice(pretrain(lake, "killed", ("all",), how), 4))
    resumed = list(pretrain(lake, "killed", ("all",), how))
    assert [m.step for m in resumed] == [4, 5, 6]
    assert [learned(m) for m in begun[:3] + resumed] == [learned(m) for m in whole]
    assert [m.total for m in pretrain(lake, "at once", ("all",), replace(how, accumulate=1))] != [
        m.total for m in whole
    ]


def test_blocks_computed_again_give_the_same_losses_bit_for_bit(lake: Lake) -> None:
    kept = list(pretrain(lake, "kept", ("all",), HOW))
    again = list(pretrain(lake, "again", ("all",), replace(HOW, recomputed_blocks=1)))
    assert [learned(m) for m in again] == [learned(m) for m in kept]
    with pytest.raises(InputError, match="recomputed_blocks is 2, but this model's vision has 1"):
        next(pretrain(lake, "many", ("all",), replace(HOW, recomputed_blocks=2)))


def test_threads_that_read_ahead_change_nothing_and_may_differ_when_a_run_goes_on(
    lake: Lake,
) -> None:
    whole = list(pretrain(lake, "whole", ("all",), replace(HOW, workers=0)))
    begun = list(islice(pretrain(lake, "killed", ("all",), replace(HOW, workers=1)), 4))
    rest = list(pretrain(lake, "killed", ("all",), replace(HOW, workers=3, recomputed_blocks=1)))
    assert [learned(m) for m in begun[:3] + rest] == [learned(m) for m in whole]


def test_a_picture_that_cannot_be_read_stops_the_run_with_all_it_has_learned(lake: Lake) -> None:
    how = replace(HOW, checkpoint_every=100, workers=0)
    whole = list(pretrain(lake, "whole", ("all",), how))
    # 11 pairs, 5 a step: the last picture of the first epoch is met in the third step.
    samples = Samples(lake, ("all",), 16)
    last = samples.pictures[samples[positions(11, 2, 5, seed=0)[0]].image]
    tar = Path(lake.path(last.tar))
    good = tar.read_bytes()
    tar.write_bytes(good[: last.offset] + b"\0" * last.size + good[last.offset + last.size :])
    steps = pretrain(lake, "r", ("all",), how)
    taken = [next(steps), next(steps)]
    with pytest.raises(LakeError, match=rf"picture {last.key} at byte {last.offset} of .* decoded"):
        next(steps)
    found = newest(lake, "r")
    assert found is not None
    assert found.step == 2
    tar.write_bytes(good)
    taken += list(pretrain(lake, "r", ("all",), how))
    assert [learned(m) for m in taken] == [learned(m) for m in whole]


@pytest.mark.parametrize(
    "odd", [{"batch_size": 1}, {"objective": Objective(queue_size=0)}, {"batch_size": 17}]
)
def test_queues_and_batches_of_any_size_go_together(lake: Lake, odd: dict[str, Any]) -> None:
    steps = list(pretrain(lake, "r", ("all",), replace(HOW, **odd)))
    assert all(math.isfinite(m.total) for m in steps)


def test_one_picture_with_one_word_is_enough(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "one", counts=(1,))
    write_selection(lake, "all")
    steps = list(pretrain(lake, "r", ("all",), HOW))
    # There are no false pairs: every judgement is of one and the same true one.
    assert {m.losses["itm_accuracy"] for m in steps} <= {0.0, 1.0}
    assert steps[-1].losses["lm"] < steps[0].losses["lm"]


def test_texts_of_no_letter_are_learned_as_an_end_at_once(lake: Lake) -> None:
    path = lake.rows("selections", "all", Shard("web", "00000"))
    found = rows.read_rows(lake, path).to_pylist()
    silent = [{**row, "text": text} for row, text in zip(found, ["", "!!!", " "] * 3, strict=False)]
    rows.write_rows(lake, path, rows.table_of(silent, rows.SELECTIONS))
    assert all(math.isfinite(m.total) for m in pretrain(lake, "r", ("all",), HOW))


def test_texts_longer_than_the_positions_are_refused_before_anything_is_learned(
    lake: Lake,
) -> None:
    room = preset("test").text.positions
    with pytest.raises(InputError, match=rf"max_length is {room + 1}, but .* give {room} or less"):
        next(pretrain(lake, "r", ("all",), replace(HOW, max_length=room + 1)))
    assert lake.folders("checkpoints") == []


def test_without_a_limit_gradients_are_left_as_they_are(lake: Lake) -> None:
    free, wide = (
        [learned(m) for m in pretrain(lake, name, ("all",), replace(HOW, clip_norm=limit))]
        for name, limit in (("free", 0.0), ("wide", 1e9))
    )
    assert free == wide


def test_bf16_computes_otherwise_and_keeps_weights_in_fp32(lake: Lake) -> None:
    full = list(pretrain(lake, "full", ("all",), HOW))
    half = list(pretrain(lake, "half", ("all",), replace(HOW, precision="bf16")))
    assert half[0].total != full[0].total
    assert half[0].total == pytest.approx(full[0].total, rel=0.02)
    model = load_model(lake, "checkpoints/half").model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_rate_by_epochs_falls_at_every_epoch_and_not_below_the_lowest(lake: Lake) -> None:
    # 11 samples, 5 a step: steps 0, 1, 2 begin in epoch 0, steps 3 and 4 in epoch 1, 5 in epoch 2.
    how = replace(HOW, schedule="epoch", epoch_decay=0.5, lowest_rate=1e-3, warmup_steps=1)
    rates = [m.lr for m in pretrain(lake, "epochs", ("all",), how)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-3, 1.5e-3, 1.5e-3, 1e-3])


def test_a_finished_run_has_nothing_left_to_do_and_says_what_made_it(lake: Lake) -> None:
    list(pretrain(lake, "r", ("all",), HOW, revision="abc123"))
    assert list(pretrain(lake, "r", ("all",), HOW, revision="def456")) == []
    found = newest(lake, "r")
    assert found is not None
    assert found.is_final
    assert found.step == 6
    facts = found.facts
    assert facts["selections"] == {"all": "digest-of-all"}
    assert facts["revision"] == "abc123"
    assert facts["preset"] == "test"
    assert facts["vocabulary"] == "trained"
    assert facts["samples"] == facts["pictures"] == 11
    assert facts["settings"]["learning_rate"] == 3e-3


def test_training_lowers_the_loss_on_what_it_sees(lake: Lake) -> None:
    how = replace(HOW, steps=60, augmentation=None, batch_size=11)
    steps = list(pretrain(lake, "r", ("all",), how))
    assert steps[-1].losses["lm"] < 0.7 * steps[0].losses["lm"]
    assert {"itc", "itm", "lm"} <= set(steps[0].losses)


def test_a_run_begun_with_other_settings_is_not_continued(lake: Lake) -> None:
    list(islice(pretrain(lake, "r", ("all",), HOW), 3))
    with pytest.raises(InputError, match="run r was begun with other settings"):
        list(pretrain(lake, "r", ("all",), replace(HOW, learning_rate=1e-3)))
    lake.publish_json("selections/all/selection.json", {"id": "all", "digest": "another"})
    with pytest.raises(InputError, match="run r was begun with other settings or selections"):
        list(pretrain(lake, "r", ("all",), HOW))


def test_a_diverging_run_stops_in_a_line_and_keeps_its_last_good_checkpoint(lake: Lake) -> None:
    how = replace(HOW, learning_rate=1e30, warmup_steps=0, schedule="constant", checkpoint_every=1)
    with pytest.raises(ModelError, match=r"run r diverged at step .*lower learning_rate"):
        list(pretrain(lake, "r", ("all",), how))
    found = newest(lake, "r")
    assert found is not None
    assert not found.is_final


def test_the_vocabulary_is_learned_from_the_selected_texts(lake: Lake) -> None:
    list(pretrain(lake, "r", ("all",), HOW))
    tokenizer = load_model(lake, "checkpoints/r").tokenizer
    ids, _ = tokenizer.encode(["a purple square"], 9)
    assert ids.shape == (1, 5)


def test_every_step_has_a_seed_of_its_own() -> None:
    seeds = {step_seed(seed, step) for seed in range(11) for step in range(97)}
    assert len(seeds) == 11 * 97
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.slow
def test_a_process_that_was_killed_goes_on_to_the_very_weights(lake: Lake, tmp_path: Path) -> None:
    settings = {"preset": "test", "steps": 60, "batch_size": 5, "vocab_size": 80}
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"selections": ["all"], "settings": {**settings, "checkpoint_every": 7}})
    )
    assert run_command(main, [lake.root, "whole", str(plan)]) == 0
    command = [sys.executable, "-m", "tasks.pretraining", lake.root, "killed", str(plan)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "step 14 is safe" in line:
                running.kill()
    found = newest(lake, "killed")
    assert found is not None
    assert not found.is_final
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    one, two = (lake.read_bytes(f"checkpoints/{run}/00000060/model.safetensors")
                for run in ("whole", "killed"))  # fmt: skip
    assert one == two
