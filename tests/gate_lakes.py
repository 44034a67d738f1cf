"""Lakes for the gates: a healthy one of which every measure passes, and what makes offenders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.catalogue.gates import GateResult, run_gates
from tasks.storage import Lake
from tests.lakes import Painted, Text, new_lake, write_batch

COUNT = 120  # every absolute limit may fail on so many rows
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]


def sentence(n: int, what: str = "a brown dog runs") -> str:
    return f"{what} over {NUMBERS[n % 11]} meadows and {NUMBERS[n // 11 % 11]} hills"


def healthy(n: int, **changes: Any) -> Painted:
    """A picture with two texts; of five web texts four are accepted, of four synthetic three."""
    web, synthetic = (n % 5 != 0) * 0.9, (n % 4 != 0) * 0.8
    texts = [
        Text(text=sentence(n), itm=web, itc=0.3, pmi=n / COUNT),
        Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=synthetic, pmi=1.0),
    ]
    return Painted(name=f"p{n}", texts=texts, **changes)


def lake_of(root: Path, change: Callable[[int], Painted] = healthy, *, batch: str = "web") -> Lake:
    """A lake with a batch of COUNT pictures in three shards."""
    lake = new_lake(root / "lake")
    write_batch(lake, batch, [change(n) for n in range(COUNT)], per_shard=40)
    return lake


def of_measure(results: list[GateResult], gate: str, measure: str) -> list[GateResult]:
    return [one for one in results if (one.gate, one.measure) == (gate, measure)]


def verdicts(lake: Lake, gate: str, measure: str) -> set[str]:
    return {one.status for one in of_measure(run_gates(lake), gate, measure)}
