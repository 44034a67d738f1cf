"""One engine over many shards: full batches across their ends, and the same rows however it is run.

Texts and seeds are equal to the last character; log-probabilities and scores to 1e-6, since another
batch may add the same numbers in another order.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.decoding import Decoding
from tasks.capfilt.engine import capfilt_shards
from tasks.capfilt.settings import CapFilt
from tasks.capfilt.tally import Tally
from tasks.errors import InputError, LakeError, ModelError
from tasks.inference import shared_model
from tasks.storage import Lake, Shard
from tests.capfilt_lake import CAPTIONER, FILTER, HOW, capfilt_lake, forget, job, read_all
from tests.small_lake import picture_key

NUMBERS = ("lm_logprob", "itm_probability", "itc_cosine")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return capfilt_lake(tmp_path_factory.mktemp("engine") / "lake")


def done(lake: Lake, how: CapFilt = HOW, shards: list[Shard] | None = None) -> Any:
    """Do the job from the beginning and return its captions and its scores."""
    list(capfilt_shards(lake, job(how), shards or lake.planned("web")))
    found = read_all(lake)
    forget(lake)
    return found


@pytest.fixture(scope="module")
def expected(lake: Lake) -> Any:
    return done(lake)


def assert_same(found: Any, expected: Any, tolerance: float = 1e-6) -> None:
    for table, wanted in zip(found, expected, strict=True):
        assert len(table) == len(wanted) > 0
        for one, other in zip(table, wanted, strict=True):
            for name, value in other.items():
                if name in NUMBERS and value is not None:
                    assert one[name] == pytest.approx(value, abs=tolerance)
                else:
                    assert one[name] == value, name


@contextmanager
def room_for(lake: Lake, uri: str, half: str, most: int) -> Iterator[list[int]]:
    """Let a model's image encoder run out of memory above so many pictures."""
    sizes = []

    def refuse(_: Any, given: tuple[torch.Tensor]) -> None:
        sizes.append(len(given[0]))
        if len(given[0]) > most:
            raise torch.OutOfMemoryError(f"a device with room for {most} pictures")

    hook = shared_model(lake, uri, "cpu", half).model.vision.register_forward_pre_hook(refuse)
    try:
        yield sizes
    finally:
        hook.remove()


@contextmanager
def batches(lake: Lake) -> Iterator[list[int]]:
    with room_for(lake, CAPTIONER, "captioner", 10**6) as sizes:
        yield sizes


@pytest.mark.parametrize("batch_size", [1, 2, 5, 16, 64])
def test_rows_do_not_depend_on_the_batch_size(lake: Lake, expected: Any, batch_size: int) -> None:
    assert_same(done(lake, replace(HOW, batch_size=batch_size)), expected)


def test_rows_do_not_depend_on_the_number_of_decoding_threads(lake: Lake, expected: Any) -> None:
    assert_same(done(lake, replace(HOW, decoders=5)), expected)


def test_rows_do_not_depend_on_the_order_or_grouping_of_shards(lake: Lake, expected: Any) -> None:
    first, second, third = lake.planned("web")
    assert_same(done(lake, shards=[third, first, second]), expected)
    for shard in (second, third, first):
        list(capfilt_shards(lake, job(), [shard]))
    assert_same(read_all(lake), expected)
    forget(lake)


def test_batches_are_refilled_across_the_ends_of_shards(lake: Lake) -> None:
    with batches(lake) as sizes:
        done(lake, replace(HOW, batch_size=6))
    assert sizes == [6, 6, 4]  # of 7, 4 and 5 pictures


@pytest.mark.parametrize(("uri", "half"), [(CAPTIONER, "captioner"), (FILTER, "filter")])
def test_running_out_of_memory_halves_the_batch_and_changes_no_row(
    lake: Lake, expected: Any, uri: str, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    with room_for(lake, uri, half, 2) as sizes:
        found = done(lake, replace(HOW, batch_size=8))
    assert sizes[:3] == [8, 4, 2]
    assert set(sizes[3:]) <= {1, 2}
    assert "going on with 2 pictures a batch" in caplog.text
    assert_same(found, expected)


def test_a_device_without_room_for_one_picture_ends_the_job_in_a_line(lake: Lake) -> None:
    with (
        room_for(lake, CAPTIONER, "captioner", 0),
        pytest.raises(ModelError, match="one picture does not fit the memory of cpu"),
    ):
        list(capfilt_shards(lake, job(), lake.planned("web")))
    assert lake.committed("captioning", "c", "web") == []


def test_captions_longer_than_a_model_writes_are_refused_before_any_is_written(
    lake: Lake,
) -> None:
    how = replace(HOW, decoding=Decoding(max_length=33))
    with pytest.raises(InputError, match=r"^decoding.max_length is 33, but .* has 32 positions"):
        list(capfilt_shards(lake, job(how), lake.planned("web")))
    assert lake.committed("captioning", "c", "web") == []


def test_a_shard_is_committed_while_the_next_ones_are_in_work(lake: Lake) -> None:
    shards = lake.planned("web")
    seen = []

    def watch(tally: Tally) -> None:
        if tally.pictures != 8:  # the first of the second shard is done
            return
        until = time.monotonic() + 60
        while not lake.is_committed("scoring", "s", shards[0]) and time.monotonic() < until:
            time.sleep(0.01)
        seen.extend(lake.committed("scoring", "s", "web"))

    going = capfilt_shards(lake, job(replace(HOW, batch_size=1)), shards, watch=watch)
    report = next(going)
    assert seen == shards[:1]
    assert report.shard == "web/00000"
    counts = {name: n for name, n in report.counts.items() if name != "degenerate"}
    assert counts == {"pictures": 7, "captions": 14, "scores": 21}
    going.close()
    before = lake.read_bytes(lake.commit_path("scoring", "s", shards[0]))
    left = [str(shard) for shard in shards if not lake.is_committed("scoring", "s", shard)]
    assert [r.shard for r in capfilt_shards(lake, job(), shards)] == left
    assert lake.read_bytes(lake.commit_path("scoring", "s", shards[0])) == before
    forget(lake)


def test_a_shard_that_was_captioned_but_not_scored_is_only_scored(
    lake: Lake, expected: Any
) -> None:
    list(capfilt_shards(lake, job(), lake.planned("web")))
    lake.fs.rm(lake.path("commits/scoring"), recursive=True)
    with batches(lake) as sizes:
        list(capfilt_shards(lake, job(), lake.planned("web")))
    assert sizes == []
    assert_same(read_all(lake), expected)
    forget(lake)


def test_a_job_that_is_done_loads_no_model(lake: Lake) -> None:
    list(capfilt_shards(lake, job(), lake.planned("web")))
    absent = replace(job(), captioner="checkpoints/none/1", judge="checkpoints/none/1")
    assert list(capfilt_shards(lake, absent, lake.planned("web"))) == []
    forget(lake)


def test_resizing_on_the_device_gives_the_same_squares_but_for_a_level(
    lake: Lake, expected: Any
) -> None:
    captions, scores = done(lake, replace(HOW, resize="device", batch_size=5))
    assert [row["caption_id"] for row in captions] == [row["caption_id"] for row in expected[0]]
    for one, other in zip(scores[:4], expected[1][:4], strict=True):
        assert one["itm_probability"] == pytest.approx(other["itm_probability"], abs=5e-3)


def test_half_precision_is_kept_in_the_record_and_near_the_whole(lake: Lake, expected: Any) -> None:
    list(capfilt_shards(lake, job(replace(HOW, dtype="bfloat16")), lake.planned("web")))
    _, scores = read_all(lake)
    record = lake.commit_of("scoring", "s", Shard("web", "00000"))
    assert record.versions["dtype"] == "bfloat16"
    forget(lake)
    web = [one for one in scores if one["key"] == picture_key("web", 3)][:1]
    wanted = [one for one in expected[1] if one["key"] == picture_key("web", 3)][:1]
    assert web[0]["itm_probability"] == pytest.approx(wanted[0]["itm_probability"], abs=0.05)
    assert web[0]["itm_probability"] != wanted[0]["itm_probability"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, compiling
def test_compiled_encoders_say_the_same(tmp_path: Path) -> None:
    lake = capfilt_lake(tmp_path / "lake")  # a model stays compiled: nobody else should meet it
    expected = done(lake)
    found = done(lake, replace(HOW, compiled=True, batch_size=6))
    assert_same(found, expected, tolerance=1e-5)


def test_the_tally_says_how_far_it_is_and_what_is_accepted(lake: Lake) -> None:
    seen: list[tuple[int, int]] = []
    kept: list[Tally] = []

    def watch(tally: Tally) -> None:
        seen.append((tally.pictures, tally.captions))
        kept[:] = [tally]

    list(capfilt_shards(lake, job(replace(HOW, batch_size=6)), lake.planned("web"), watch=watch))
    assert seen == [(6, 12), (12, 24), (16, 32), (16, 32)]
    _, scores = read_all(lake)
    forget(lake)
    tally = kept[0]
    assert (tally.done, tally.shards, tally.spoilt) == (3, 3, 0)
    assert tally.judged == {"web": 16, "synthetic": 32}
    accepted = sum(row["itm_probability"] >= 0.5 for row in scores)
    assert tally.accepted["web"] + tally.accepted["synthetic"] == accepted
    line = tally.line()
    assert line.startswith("16 pictures, 3 of 3 shards, ")
    assert "images/s" in line
    assert "web" in line


def test_the_seconds_of_shards_and_stages_add_up_to_no_more_than_there_were(lake: Lake) -> None:
    began = time.monotonic()
    list(capfilt_shards(lake, job(), lake.planned("web")))
    lasted = time.monotonic() - began
    commits = [
        lake.commit_of(stage, run, shard)
        for stage, run in (("captioning", "c"), ("scoring", "s"))
        for shard in lake.planned("web")
    ]
    forget(lake)
    assert all(commit.seconds > 0 for commit in commits)
    assert sum(commit.seconds for commit in commits) < lasted


def test_a_lake_that_cannot_be_written_ends_the_job_and_its_threads(tmp_path: Path) -> None:
    lake = capfilt_lake(tmp_path / "lake", counts=(5, 3))
    Path(lake.path("captions/c")).write_text("in the way")
    with pytest.raises(LakeError, match="cannot write under"):
        list(capfilt_shards(lake, job(), lake.planned("web")))
    names = {thread.name.split("_")[0] for thread in threading.enumerate()}
    assert not names & {"feed", "decode", "write"}
    assert lake.folders("commits") == ["ingestion"]
