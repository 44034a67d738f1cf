"""Our ingest command beside img2dataset: who runs when, on what, and where the numbers go.

CPU milliseconds a URL, of all processes of a program and with its start-up, are what to compare:
a neighbour on the machine moves them by a tenth, the wall time by half. Runs are interleaved
(A B, B A), so that what drifts hits both. Pictures, certificates and img2dataset are made once, in
.bench/ingest; every byte travels over loopback.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
from rich.console import Console

from tasks.errors import CapliftError
from tests.benchmarks.ingest.contenders import (
    OURS,
    RIVALS,
    ROOT,
    Contender,
    Job,
    caplift,
    environment_of,
    img2dataset,
)
from tests.benchmarks.ingest.corpus import Drawn, corpus, digest_of
from tests.benchmarks.ingest.measure import measure
from tests.benchmarks.ingest.outputs import look
from tests.benchmarks.ingest.report import Run, line, show, stages_of
from tests.benchmarks.ingest.url_tables import write_urls
from tests.benchmarks.ingest.web_server import Web, certify, serving

WORK = ROOT / ".bench" / "ingest"
SCHEMES = ("http", "https")
START_URLS = 4  # what a run of these costs is starting
LIMIT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all runs share: the pictures, the servers and where lines go."""

    pictures: Sequence[Drawn]
    web: Web
    console: Console

    def run(self, contender: Contender, scheme: str, urls: int) -> Run:
        """Run a contender over the first URLs of a scheme, look at what it left and remove it."""
        table, out = WORK / "urls" / f"{scheme}-{urls}.parquet", WORK / "out"
        write_urls(table, self.pictures[:urls], self.web, scheme)
        shutil.rmtree(out, ignore_errors=True)
        job = Job(urls=table, out=out)
        cost = measure(
            contender.command(job),
            environment=environment_of(contender, WORK / "tls" / "bundle.pem"),
            folder=ROOT,
            log=WORK / f"{contender.name.replace(' ', '-')}.log",
            servers=self.web.pids,
            limit_s=LIMIT_S,
        )
        index = {drawn.file: drawn for drawn in self.pictures}
        left = look(out, contender.rows, WORK / "corpus", index, job.image_size)
        shutil.rmtree(out, ignore_errors=True)
        return Run(contender=contender.name, scheme=scheme, urls=urls, cost=cost, left=left)

    def start(self, contender: Contender) -> Run:
        """Return what starting costs; the run before it fills caches of compiled Python."""
        self.run(contender, SCHEMES[0], START_URLS)
        return self.run(contender, SCHEMES[0], START_URLS)

    def runs(
        self, contenders: Sequence[Contender], schemes: Sequence[str], urls: int, repetitions: int
    ) -> Iterator[Run]:
        """Yield all runs as they finish, each repetition in the order opposite to the last."""
        for scheme in schemes:
            for repetition in range(repetitions):
                for contender in contenders[:: 1 if repetition % 2 == 0 else -1]:
                    run = self.run(contender, scheme, urls)
                    self.console.print(line(run), highlight=False, markup=False, soft_wrap=True)
                    yield run


def main(given: Sequence[str]) -> None:
    """Run the benchmark, print its tables and write everything to a JSON file."""
    arguments = _parser().parse_args(given)
    console = Console(width=132)
    cores = os.cpu_count() or 1
    pictures = corpus(WORK / "corpus", arguments.urls, cores)
    contenders = [_contender(name) for name in arguments.contenders]
    certify(WORK / "tls", Path(certifi.where()))
    facts = _facts(pictures)
    console.print(_headline(facts), highlight=False, markup=False)
    with serving(WORK / "corpus", WORK / "tls") as web:
        bench = Bench(pictures=pictures, web=web, console=console)
        starts = {contender.name: bench.start(contender) for contender in contenders}
        runs = list(
            bench.runs(contenders, arguments.schemes, arguments.urls, arguments.repetitions)
        )
    show(console, runs, starts)
    results = WORK / "results" / f"{facts['date'].replace(':', '')}-{facts['commit']}.json"
    results.parent.mkdir(exist_ok=True)
    document = {**facts, "starts": [*map(_told, starts.values())], "runs": [*map(_told, runs)]}
    results.write_text(json.dumps(document, indent=1))
    console.print(f"written to {results.relative_to(ROOT)}", highlight=False)
    if faulty := sum(bool(run.faults) for run in runs):
        raise CapliftError(
            f"{faulty} of {len(runs)} runs did not do their work, as said above; what they printed "
            f"is in {(WORK / '*.err').relative_to(ROOT)}"
        )


def _contender(name: str) -> Contender:
    return caplift() if name == OURS else img2dataset(name, WORK)


def _facts(pictures: Sequence[Drawn]) -> dict[str, Any]:
    """Return what a number means nothing without."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "tasks", "tests/benchmarks")
    jpegs = [drawn for drawn in pictures if drawn.kind == "jpg"]
    return {
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if changed else ""),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "pictures": len(pictures),
        "corpus": digest_of(pictures),
        "mean_kilobytes": sum(drawn.bytes for drawn in pictures) / len(pictures) / 1e3,
        "mean_megapixels": sum(d.width * d.height for d in pictures) / len(pictures) / 1e6,
        "jpeg_share": len(jpegs) / len(pictures),
        "progressive_share": sum(d.progressive for d in jpegs) / max(1, len(jpegs)),
    }


def _headline(facts: dict[str, Any]) -> str:
    return (
        f"commit {facts['commit']}, {facts['date']}, {facts['cores']} cores; "
        f"{facts['pictures']} pictures (corpus {facts['corpus']}), mean "
        f"{facts['mean_kilobytes']:.0f} KB and {facts['mean_megapixels']:.2f} megapixels, "
        f"{facts['jpeg_share']:.0%} JPEG, {facts['progressive_share']:.0%} of them progressive"
    )


def _told(run: Run) -> dict[str, Any]:
    return {**asdict(run), "cpu_ms": run.cpu_ms, "images_s": run.images_s, "stages": stages_of(run)}


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-ingest", description=__doc__)
    parser.add_argument("--urls", type=int, default=1500, help="of a run")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES)
    parser.add_argument(
        "--contenders", nargs="+", choices=(*RIVALS, OURS), default=(*RIVALS, OURS),
        help="Python versions stand for img2dataset on them; ratios are to the first",
    )  # fmt: skip
    return parser
