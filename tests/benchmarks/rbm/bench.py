"""RBMs beside GEMM and beside others: how fast they sample and learn, and how well.

`make bench-rbm` runs both parts on one thread. `speed`: CPU time of the matrix products that Gibbs
sweeps and CD-1 or PCD-1 updates are made of, as a fraction of the whole, at batch 1000; the two are
timed in turn, round by round, and the median of the rounds' ratios is told, so that what else the
computer does weighs on both. `quality`: mean log-likelihood of test digits after equal CPU-seconds
of PCD-1 with the same batch size and starting rate, each machine's log Z by one judge in float64:
exact for 16 hidden units, bracketed by annealing for 500.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[3]
tests.__path__ = [str(ROOT / "tests")]

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor  # noqa: E402

from models.rbm.annealing import base_rates, bracketed, crowded  # noqa: E402
from models.rbm.machine import RBM  # noqa: E402
from models.rbm.partition import log_z_exact  # noqa: E402
from tests.benchmarks.rbm.contenders import Contender, Kind, Task, contenders  # noqa: E402
from tests.benchmarks.rbm.digits import Digits, digits, grey_digits  # noqa: E402

SHAPES: tuple[tuple[int, int, Kind], ...] = ((784, 500, "bernoulli"), (512, 1024, "gaussian"))
# Shares of the products' rate that we want to reach; of Gibbs sweeps ten in a call.
GOALS = {"gibbs": 0.8, "cd": 0.7, "pcd": 0.7}
TITLES = {"gibbs": "Gibbs", "cd": "CD-1", "pcd": "PCD-1"}
SWEEPS = 10
JUDGED_CHAINS, JUDGED_BETAS, JUDGED_SWEEPS = 64, 1500, 200
Row = dict[str, Any]


def seconds(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def products(visible: int, hidden: int, batch: int) -> tuple[Callable[[], Any], ...]:
    """The three products of an update at this shape, writing into what is there already."""
    rows, weight, on = (
        torch.rand(batch, visible),
        torch.randn(visible, hidden),
        torch.rand(batch, hidden),
    )
    up, down, outer = (
        torch.empty(batch, hidden),
        torch.empty(batch, visible),
        torch.empty_like(weight),
    )
    return (
        lambda: torch.mm(rows, weight, out=up),
        lambda: torch.mm(on, weight.T, out=down),
        lambda: torch.mm(rows.T, on, out=outer),
    )


def speed(batch: int, rounds: int) -> Iterator[Row]:
    """Yield a row a shape and contender: fractions of the products' rate, and rows a second."""
    for visible, hidden, kind in SHAPES:
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(4 * batch, visible, generator=generator)
        rows = (rows > 0.5).float() if kind == "bernoulli" else rows
        task = Task(visible=kind, hidden=hidden, batch=batch, method="pcd", rate=1e-3, seed=0)
        for name in contenders(task):
            row: Row = {"shape": f"{visible} x {hidden} {kind}", "contender": name}
            for what in GOALS:
                asked = replace(task, method="cd" if what == "cd" else "pcd")
                if name in contenders(asked):
                    step = _step(contenders(asked)[name](rows, asked), what, rows[:batch])
                    row |= _raced(step, what, products(visible, hidden, batch), rounds)
            yield row


def _raced(
    step: Callable[[], None], what: str, product: tuple[Callable[[], Any], ...], rounds: int
) -> Row:
    """Time a step and its products in turn."""
    up, down, outer = product
    # An update: the data up; the chains down and up; an outer product of each.
    limit = (up, down) * SWEEPS if what == "gibbs" else (up, down, up, outer, outer)
    times = SWEEPS if what == "gibbs" else 1

    def bare() -> None:
        for one in limit:
            one()

    step()
    bare()
    pairs = [(seconds(bare), seconds(step)) for _ in range(rounds)]
    return {
        f"{what}_fraction": statistics.median(a / b for a, b in pairs),
        f"{what}_ms": 1e3 * statistics.median(b for _, b in pairs) / times,
    }


def _step(one: Contender, what: str, rows: Tensor) -> Callable[[], None]:
    return (lambda: one.sweep(SWEEPS)) if what == "gibbs" else (lambda: one.learn(rows, 0.0))


def quality(folder: Path, budget_s: float, seeds: int) -> Iterator[Row]:
    """Yield a row a machine, contender and seed: test log-likelihood in nats."""
    black, grey = digits(folder), grey_digits()
    machines: tuple[tuple[Digits, Kind, int, float], ...] = (
        (black, "bernoulli", 16, 0.05),
        (black, "bernoulli", 500, 0.05),
        (grey, "gaussian", 16, 0.02),
    )
    for held, visible, hidden, rate in machines:
        for seed in range(seeds):
            task = Task(
                visible=visible, hidden=hidden, batch=100, method="pcd", rate=rate, seed=seed
            )
            for name, kind in contenders(task).items():
                one = kind(held.train, task)
                updates, spent = _learn(one, held.train, task, budget_s)
                yield {
                    "digits": held.name,
                    "machine": f"{held.rows.shape[1]} x {hidden} {visible}",
                    "contender": name,
                    "seed": seed,
                    "updates": updates,
                    "cpu_s": spent,
                    **judged(one.machine(), held.train, held.test),
                }


def _learn(one: Contender, train: Tensor, task: Task, budget_s: float) -> tuple[int, float]:
    generator = torch.Generator().manual_seed(task.seed)
    updates, began = 0, time.process_time()
    while (spent := time.process_time() - began) < budget_s:
        at = torch.randint(len(train), (task.batch,), generator=generator)
        one.learn(train[at], spent / budget_s)
        updates += 1
    return updates, time.process_time() - began


def judged(machine: RBM, train: Tensor, test: Tensor) -> Row:
    """Judge a machine in float64: exactly, or by annealing from both ends."""
    machine = machine.double()
    if machine.n_hidden <= 16:
        log_z, how = log_z_exact(machine), "exact"
    else:
        generator = torch.Generator().manual_seed(0)
        bracket = bracketed(
            machine,
            test[:JUDGED_CHAINS].double(),
            generator,
            betas=crowded(JUDGED_BETAS),
            sweeps=JUDGED_SWEEPS,
            base=base_rates(machine, train.double()),
        )
        log_z = bracket.forward.value
        how = f"annealed, se {bracket.forward.se:.2f}, ESS {bracket.forward.ess:.0f}"
        if not bracket.thermalised:
            how += ", chains from data not in equilibrium"
    return {"log_z": how, "test_ll": float(machine.log_likelihood(test.double(), log_z).mean())}


def speed_table(rows: Sequence[Row], batch: int) -> Table:
    """Show what share of the products' rate each reaches, and the CPU-ms of a sweep or update."""
    drawn = Table(title=f"share of GEMM's rate, and CPU-ms: one thread, batch {batch}")
    drawn.add_column("machine")
    drawn.add_column("contender")
    for what, goal in GOALS.items():
        drawn.add_column(f"{TITLES[what]}\ngoal {goal:.2f}", justify="right")
    before = ""
    for row in rows:
        shape, before = row["shape"] if row["shape"] != before else "", row["shape"]
        drawn.add_row(shape, row["contender"], *(_share(row, what) for what in GOALS))
    return drawn


def _share(row: Row, what: str) -> str:
    if f"{what}_fraction" not in row:
        return "-"
    share = row[f"{what}_fraction"]
    colour = "green" if share >= GOALS[what] else "red"
    return f"[{colour}]{share:.2f}[/]  {row[f'{what}_ms']:.1f} ms"


def table(rows: Sequence[Row], title: str) -> Table:
    drawn = Table(title=title)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        drawn.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        drawn.add_row(*(_told(row.get(name, "-")) for name in names))
    return drawn


def _told(value: Any) -> str:
    if isinstance(value, float):
        return (
            f"{value:,.0f}"
            if abs(value) >= 1000
            else f"{value:.3g}"
            if abs(value) < 10
            else f"{value:.2f}"
        )
    return str(value)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["speed", "quality"])
    parser.add_argument("--batch", type=int, default=1000, help="of the speed part")
    parser.add_argument("--rounds", type=int, default=25, help="of the speed part")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="CPU-seconds a machine may learn"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console, found = Console(), {}
    if given.only != "quality":
        found["speed"] = list(speed(given.batch, given.rounds))
        console.print(speed_table(found["speed"], given.batch))
    if given.only != "speed":
        found["quality"] = list(quality(ROOT / ".bench" / "rbm", given.seconds, given.seeds))
        told = [{name: row[name] for name in row if name != "digits"} for row in found["quality"]]
        named = " and ".join(dict.fromkeys(row["digits"] for row in found["quality"]))
        title = f"{named}: after {given.seconds:g} CPU-seconds of PCD-1"
        console.print(table(told, title))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
