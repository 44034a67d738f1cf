"""A lake on an object store is fitted and scored from as one on a disk, to the bit."""

from collections.abc import Iterator
from typing import Any

import pytest

from tasks.pair_scores import score_pairs
from tasks.rbm.fitting import fit_rbm
from tasks.storage import Lake, Shard, open_lake
from tests.object_store import STORES, empty_store
from tests.vectors import fitted, quick, write_vectors

pytestmark = pytest.mark.slow

SHARDS = ("00000", "00001")
HOW: dict[str, Any] = {"window": 64}  # a third of the rows: each epoch is read from the store


@pytest.fixture(params=STORES)
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    with empty_store(request.param, monkeypatch) as address:
        yield open_lake(f"{address}/lake", create=True)


def test_a_fit_that_was_stopped_and_its_scores_are_those_of_a_local_lake(
    bucket: Lake, lake: Lake
) -> None:
    for one in (bucket, lake):
        for shard in SHARDS:
            write_vectors(one, shard=shard, pairs=97)
    halfway = fit_rbm(bucket, "r", "v", ("web",), quick(**HOW))
    assert [next(halfway).update for _ in range(2)] == [25, 50]
    del halfway
    assert bucket.exists("fits/r/training.safetensors")
    for one in (bucket, lake):
        fitted(one, "r", **HOW)
        for shard in SHARDS:
            score_pairs(one, "r", "v", Shard("web", shard))
    for path in ("rbms/r/rbm.safetensors", "fits/r/training.safetensors", "rbms/r/rbm.json"):
        assert bucket.read_bytes(path) == lake.read_bytes(path), path
    for shard in SHARDS:
        path = lake.rows("scores", "r", Shard("web", shard))
        assert bucket.read_bytes(path) == lake.read_bytes(path)
        assert bucket.is_committed("rbm", "r", Shard("web", shard))
    assert bucket.names("fits/r/plots", ".svg") == lake.names("fits/r/plots", ".svg")
