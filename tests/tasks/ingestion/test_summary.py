"""A summary tells the truth, and names the one cause that a person can mend."""

import re

import pytest

from tasks.ingestion.display import Meter, held_up_by
from tasks.ingestion.options import described
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.summary import HINTS, Summary
from tasks.ingestion.tally import Tally
from tasks.rows import Outcome


def summary(planned: int, http: dict[str, int] | None = None, **outcomes: int) -> Summary:
    return Summary(
        batch="web",
        planned=planned,
        outcomes=outcomes,
        http_statuses=http or {},
        bytes_stored=10,
        duplicates=0,
        seconds=2.0,
        done_now=planned,
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (summary(100, dns=62, kept=38), "62% dns: your resolver is the bottleneck"),
        (summary(100, kept=70, timeout=30), "30% timeout: the network is full or far"),
        (summary(100, {"429": 60, "404": 5}, http_error=65, kept=35), "60 answers of status 429"),
        (summary(50, {"404": 30}, http_error=30, kept=20), "the table is old"),
        (summary(100, kept=71, timeout=29), ""),  # too small a share
        (summary(19, dns=19), ""),  # too few to tell
        (summary(100, kept=100), ""),
        (summary(100, too_small=90, kept=10), ""),  # nothing that a person could mend
    ],
)
def test_a_cause_that_many_share_is_named_with_its_remedy(found: Summary, said: str) -> None:
    assert said in found.hint
    assert bool(found.hint) == bool(said)
    assert found.to_json()["hint"] == found.hint


def test_every_setting_that_a_hint_names_is_one() -> None:
    named = set(re.findall(r"--([a-z-]+)", " ".join(HINTS.values())))
    known = {name.replace("_", "-") for kind in (Ingestion, Source) for name in described(kind)}
    assert named
    assert named <= known


def test_rates_are_of_this_run_alone() -> None:
    told = summary(80, kept=60, http_error=20).to_json()
    assert (told["success_rate"], told["images_per_s"]) == (0.75, 40.0)


def tally(done: int, cpu_s: float = 0.0, **waiting: int) -> Tally:
    found = Tally(planned=100)
    found.outcomes.update({Outcome.KEPT: done - done // 4, Outcome.DNS: done // 4})
    found.waiting.update(waiting)
    found.spend("decode", cpu_s)
    return found


@pytest.mark.parametrize(
    ("now", "busy", "said"),
    [
        (tally(1, politeness=9, network=2), 0.1, "politeness"),
        (tally(1, politeness=2, network=9), 0.1, "the network"),
        (tally(1, politeness=9, network=2), 0.9, "this machine's cores"),
        (tally(1), 0.0, "this machine's cores"),
    ],
)
def test_what_holds_a_run_up_is_the_cores_or_what_most_wait_for(
    now: Tally, busy: float, said: str
) -> None:
    assert held_up_by(now, busy) == said


def test_the_line_counts_all_and_names_the_failures() -> None:
    meter = Meter(100, 2)
    line = meter.line(tally(40, network=1))
    assert line.startswith("40 of 100, kept 75%, ")
    assert "held up by the network" in line
    assert line.endswith(" s left, dns 10")
    done = Meter(4, 1).line(tally(4))
    assert "left" not in done
    assert "held up" not in done
