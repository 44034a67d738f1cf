"""Each epoch has every row once, in an order of its own and in memory that does not grow."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks import rows
from tasks.errors import LakeError
from tasks.rbm.preparing import Prepared, prepare
from tasks.rbm.streaming import Batches
from tasks.storage import Lake, Shard, open_lake
from tasks.vectors import VectorFiles, open_vectors, vectors_table
from tests.vectors import QUICK, write_vectors

LIKE = torch.empty(0, dtype=torch.float64)
SIZES = (83, 0, 29, 127)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Four shards of 239 pairs in all, in row groups of 17."""
    lake = open_lake(str(tmp_path_factory.mktemp("streamed") / "lake"), create=True)
    for number, size in enumerate(SIZES):
        shard = Shard("web", f"{number:05d}")
        write_vectors(lake, shard=shard.name, pairs=size)
        path = lake.rows("vectors", "v", shard)
        rows.write_rows(lake, path, rows.read_rows(lake, path), 17)
    return lake


@pytest.fixture(scope="module")
def files(written: Lake) -> VectorFiles:
    return open_vectors(written, "v", ("web",))


@pytest.fixture(scope="module")
def prepared(files: VectorFiles) -> Prepared:
    return prepare(files, 0.1, 1000)


def batches(
    files: VectorFiles, prepared: Prepared, size: int, window: int, seed: int = 0
) -> Batches:
    return Batches(files, prepared, batch_size=size, window=window, seed=seed, like=LIKE)


def learnt(files: VectorFiles, prepared: Prepared) -> torch.Tensor:
    """The white rows to learn from, in the order that they lie in, read all at once."""
    pieces = [piece for group in range(len(files.groups)) for piece in files.pieces(group)]
    pairs = torch.cat([piece.pairs for piece in pieces])
    return prepared.whitener.transform(pairs[torch.from_numpy(prepared.learnt)])


def sorted_rows(given: torch.Tensor) -> torch.Tensor:
    return given[torch.argsort(given[:, 0])]


@pytest.mark.parametrize("window", [1, 31, 100, 10_000])
@pytest.mark.parametrize("size", [3, 7, 10_007])
def test_an_epoch_has_every_row_that_is_learnt_from_once(
    files: VectorFiles, prepared: Prepared, size: int, window: int
) -> None:
    wanted = sorted_rows(learnt(files, prepared))
    source = batches(files, prepared, size, window)
    assert source.count == len(wanted) == prepared.counts["training_rows"]
    for epoch in range(2):
        places = range(epoch * source.per_epoch, (epoch + 1) * source.per_epoch)
        read = [source.at(place).clone() for place in places]
        assert [len(batch) for batch in read[:-1]] == [min(size, len(wanted))] * (len(read) - 1)
        assert 0 < len(read[-1]) <= size
        torch.testing.assert_close(sorted_rows(torch.cat(read)), wanted)
        assert len(source.rows) <= max(window, source.size)


@pytest.mark.parametrize("window", [19, 60, 10_000])
def test_the_rows_of_an_update_do_not_depend_on_where_the_reading_began(
    files: VectorFiles, prepared: Prepared, window: int
) -> None:
    straight = batches(files, prepared, 7, window)
    wanted = [straight.at(update).clone() for update in range(2 * straight.per_epoch + 3)]
    for start in (0, 1, 5, 19, straight.per_epoch - 1, straight.per_epoch, len(wanted) - 1):
        begun = batches(files, prepared, 7, window)
        for update in range(start, len(wanted)):
            assert torch.equal(begun.at(update), wanted[update]), (start, update)


@pytest.mark.parametrize("window", [60, 10_000])
def test_orders_differ_between_epochs_and_seeds(
    files: VectorFiles, prepared: Prepared, window: int
) -> None:
    source, other = (batches(files, prepared, 7, window, seed) for seed in (0, 1))
    first, second = source.at(0).clone(), source.at(source.per_epoch).clone()
    assert not torch.equal(first, second)
    assert not torch.equal(first, other.at(0))
    assert torch.equal(first, batches(files, prepared, 7, window).at(0))


def test_a_small_window_takes_rows_of_several_row_groups_and_not_in_their_order(
    files: VectorFiles, prepared: Prepared
) -> None:
    rows_in_order = learnt(files, prepared)
    source = batches(files, prepared, 7, 60)
    places = [
        int((rows_in_order - row).abs().sum(1).argmin())
        for update in range(source.per_epoch)
        for row in source.at(update)
    ]
    assert sorted(places) == list(range(len(places)))
    assert np.corrcoef(places, range(len(places)))[0, 1] < 0.5


def test_a_file_that_has_gone_is_one_line(
    files: VectorFiles, prepared: Prepared, tmp_path: Path
) -> None:
    gone = VectorFiles(
        open_lake(str(tmp_path)), "v", files.groups, files.group_rows, files.width, files.digest
    )
    with pytest.raises(LakeError, match=r"0000\d\.parquet is missing in .*; run the stage"):
        batches(gone, prepared, 7, 60).at(0)
    assert batches(files, prepared, 7, 60).at(0).shape == (7, 10)


BOUNDED = {
    **QUICK,
    "training": {"updates": 220, "chains": 31},
    "window": 4096,
    "measured_rows": 500,
    "batch_size": 1000,
    "patience": 99,
    "save_every": 110,
}
FIT = """
import json, resource, sys
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.settings import RbmFit
from tasks.settings import settings_from
from tasks.storage import Lake
how = settings_from(RbmFit, json.loads(sys.argv[2]))
for _ in fit_rbm(Lake(sys.argv[1]), "big", "v", ("web",), how):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mb(lake: Lake) -> float:
    command = [sys.executable, "-c", FIT, lake.root, json.dumps(BOUNDED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    peaks = {}
    for name, count in (("small", 6), ("large", 60)):
        lake = open_lake(str(tmp_path / name), create=True)
        generator = np.random.default_rng(0)
        for number in range(count):
            sides = [generator.normal(size=(2000, 96)).astype(np.float32) for _ in "ab"]
            named = [
                {"key": rows.key_of(f"{number} {n}"), "caption_id": str(n)} for n in range(2000)
            ]
            path = lake.rows("vectors", "v", Shard("web", f"{number:05d}"))
            rows.write_rows(lake, path, vectors_table(named, *sides), 500)
        peaks[name] = peak_mb(lake)
    more_mb = 54 * 2000 * 2 * 96 * 4 / 2**20  # 79
    assert peaks["large"] - peaks["small"] < 0.2 * more_mb, peaks
