"""What a filter accepts of each source is counted text by text, at the threshold that is given."""

import pytest

from tasks.keeping import Accepted, accepted_of_batch, accepted_of_shard, summed
from tasks.storage import Lake, Shard
from tests.lakes import CAPTIONER, FILTER, Painted, Text, write_batch

RUNS = ("ingestion", CAPTIONER)


@pytest.fixture
def scored(lake: Lake) -> Lake:
    """Three pictures in two shards; of the web's texts 0.5 lies on the threshold."""
    told = [(0.5, 0.9), (0.49, 0.1), (0.7, 0.2)]
    pictures = [
        Painted(
            name=f"p{number}",
            texts=[
                Text(text="a brown dog runs", itm=web),
                Text(text="two cats sleep", source="synthetic", itm=synthetic),
            ],
        )
        for number, (web, synthetic) in enumerate(told)
    ]
    write_batch(lake, "web", pictures, per_shard=2)
    return lake


def test_a_text_on_the_threshold_is_accepted_and_one_below_is_not(scored: Lake) -> None:
    found = accepted_of_shard(scored, Shard("web", "00000"), RUNS, FILTER, 0.5)
    assert found == {"synthetic": Accepted(2, 1), "web": Accepted(2, 1)}
    found = accepted_of_shard(scored, Shard("web", "00000"), RUNS, FILTER, 0.51)
    assert found == {"synthetic": Accepted(2, 1), "web": Accepted(2, 0)}


def test_a_batch_is_the_sum_of_its_scored_shards(scored: Lake) -> None:
    assert accepted_of_batch(scored, "web", RUNS, FILTER, 0.5) == {
        "synthetic": Accepted(3, 1),
        "web": Accepted(3, 2),
    }
    scored.fs.rm(scored.path(scored.commit_path("scoring", FILTER, Shard("web", "00001"))))
    assert accepted_of_batch(scored, "web", RUNS, FILTER, 0.5)["web"] == Accepted(2, 1)


def test_a_run_that_is_not_asked_for_is_not_counted(scored: Lake) -> None:
    found = accepted_of_shard(scored, Shard("web", "00001"), ("ingestion",), FILTER, 0.5)
    assert found == {"web": Accepted(1, 1)}


def test_a_share_is_that_of_the_judged_and_none_of_nothing() -> None:
    assert summed([{"web": Accepted(3, 1)}, {"web": Accepted(5, 1)}])["web"].share == 0.25
    assert Accepted(0, 0).share == 0
