"""What CapFilt costs a picture: this engine beside the loop one writes with transformers.

`make bench-capfilt` runs both by turns (A B, B A), each in a process of its own, on the same
pictures and the same random weights in fp32, and prints CPU-seconds a picture and whether both said
the same: greedy captions and scores. `BENCH="--device cuda"` reports images a second at 224 and 384
pixels beside the loop and beside what one H200 can do (bf16, 790 TFLOP/s, 4.3 TB/s), and a profile.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[3]
tests.__path__ = [str(ROOT / "tests")]

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from models.decoding import METHODS, Decoding  # noqa: E402
from models.presets import PRESETS  # noqa: E402
from tasks.capfilt.settings import CapFilt  # noqa: E402
from tasks.storage import open_lake  # noqa: E402
from tests.benchmarks.capfilt import material, ours  # noqa: E402
from tests.benchmarks.capfilt.naive import Naive  # noqa: E402
from tests.benchmarks.capfilt.naive import run as run_naive  # noqa: E402

OURS, NAIVE = "Caplift", "transformers"
PROMPT, PROMPT_TOKENS = "a picture of", 4
CEILINGS = {224: 6630, 384: 2290}  # of a base model on one H200, images/s
KERNELS_SHOWN = 25


def decoding(given: argparse.Namespace) -> Decoding:
    """Return how both write: the same number of tokens for every picture."""
    length = PROMPT_TOKENS + given.new_tokens
    return Decoding(method=given.method, prompt=PROMPT, max_length=length, min_length=length)


def worked(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Let one contender do the warm-up and then the measured batch."""
    torch.set_num_threads(given.threads)
    if given.worker == NAIVE:
        dtype = torch.bfloat16 if given.device.startswith("cuda") else torch.float32
        naive = Naive(folder, given.worker_side, given.device, dtype, decoding(given))
        lake = open_lake(str(folder / "lake"))
        for batch in (material.WARM_UP, material.BATCH):
            found = run_naive(naive, material.read_batch(lake, batch), given.batch_size)
        return found
    how = CapFilt(
        decoding=decoding(given),
        batch_size=given.batch_size,
        decoders=given.decoders,
        compiled=given.compiled,
    )
    ours.run(folder, material.WARM_UP, how, given.device)
    if not given.profile:
        return ours.run(folder, material.BATCH, how, given.device)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if given.device.startswith("cuda"):
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        found = ours.run(folder, material.BATCH, how, given.device)
    key = "self_device_time_total" if len(kinds) > 1 else "self_cpu_time_total"
    table = profile.key_averages().table(sort_by=key, row_limit=KERNELS_SHOWN)
    Path(given.profile).write_text(table, encoding="utf-8")
    return found


def main(arguments: Sequence[str]) -> None:
    given = _parser().parse_args(arguments)
    if given.worker:
        sys.stdout.write(material.said(worked(given, Path(given.folder))))
        return
    is_gpu = given.device.startswith("cuda")
    given.side = given.side or ([224, 384] if is_gpu else [384])
    given.images = given.images or (2048 if is_gpu else 4)
    given.batch_size = given.batch_size or (256 if is_gpu else 4)
    console = Console(width=110)
    for side in given.side:
        with tempfile.TemporaryDirectory() as name:
            material.made_up(Path(name), given.size, side, given.images, given.batch_size)
            show(console, given, side, _turns(console, given, side, Path(name)))


def _turns(
    console: Console, given: argparse.Namespace, side: int, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {OURS: [], NAIVE: []}
    for repetition in range(given.repetitions):
        for name in list(found)[:: 1 if repetition % 2 == 0 else -1]:
            said = subprocess.run(
                _command(given, side, folder, name), stdout=subprocess.PIPE, text=True, check=True
            ).stdout
            found[name].append(json.loads(said.splitlines()[-1]))
            _forget(folder)
            last = found[name][-1]
            console.print(
                f"{name}: {last['cpu_s']:.2f} CPU-s a picture, {last['images_per_s']:.2f} images/s",
                highlight=False,
            )
    return found


def _command(given: argparse.Namespace, side: int, folder: Path, name: str) -> list[str]:
    told = {
        "--worker": name,
        "--worker-side": side,
        "--folder": folder,
        "--method": given.method,
        "--new-tokens": given.new_tokens,
        "--batch-size": given.batch_size,
        "--threads": given.threads,
        "--decoders": given.decoders,
        "--device": given.device,
        "--profile": given.profile,
    }
    words = [str(word) for pair in told.items() for word in pair]
    return [sys.executable, __file__, *words, *(["--compiled"] if given.compiled else [])]


def _forget(folder: Path) -> None:
    """Remove what a run has committed, so that the next one does it again."""
    lake = open_lake(str(folder / "lake"))
    for stage in ("captioning", "scoring"):
        if lake.exists(f"commits/{stage}"):
            lake.fs.rm(lake.path(f"commits/{stage}"), recursive=True)


def show(
    console: Console,
    given: argparse.Namespace,
    side: int,
    found: dict[str, list[dict[str, Any]]],
) -> None:
    is_gpu = given.device.startswith("cuda")
    best = {
        name: {
            key: statistics.median(run[key] for run in runs) for key in ("cpu_s", "images_per_s")
        }
        for name, runs in found.items()
    }

    def cost(one: dict[str, float]) -> float:
        return 1 / one["images_per_s"] if is_gpu else one["cpu_s"]

    table = Table(
        title=f"CapFilt {given.size} {side}, {given.images} pictures in batches of "
        f"{given.batch_size}, {given.method}, {given.device}, {given.threads} threads"
    )
    for column in ("", "CPU-s a picture", "images/s", "ours is", "of one H200's ceiling"):
        table.add_column(column, justify="left" if not column else "right")
    for name, one in best.items():
        ratio = f"{cost(one) / cost(best[OURS]):.2f} x faster" if name == NAIVE else ""
        share = one["images_per_s"] / CEILINGS.get(side, float("inf"))
        told = f"{share:.0%}" if is_gpu and given.size == "base" and side in CEILINGS else ""
        table.add_row(name, f"{one['cpu_s']:.3f}", f"{one['images_per_s']:.2f}", ratio, told)
    console.print(table)
    console.print(agreement(found[OURS][0]["found"], found[NAIVE][0]["found"]), highlight=False)


def agreement(left: dict[str, Any], right: dict[str, Any]) -> str:
    """Say how many captions are the same, and how far scores of the same text are apart."""
    same = [key for key in left if left[key]["caption"] == right[key]["caption"]]
    apart = {
        "web": max(abs(left[key]["web"] - right[key]["web"]) for key in left),
        "synthetic": max(
            (abs(left[key]["synthetic"] - right[key]["synthetic"]) for key in same), default=0.0
        ),
    }
    told = ", ".join(f"{source} texts at most {far:.1e} apart" for source, far in apart.items())
    return f"{len(same)} of {len(left)} captions are equal; ITM probabilities of {told}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-capfilt", description=__doc__)
    parser.add_argument("--size", default="base", choices=sorted(PRESETS))
    parser.add_argument("--side", type=int, nargs="*", help="384; on a GPU 224 and 384")
    parser.add_argument("--images", type=int, help="4; on a GPU 2048")
    parser.add_argument("--batch-size", type=int, help="4; on a GPU 256")
    parser.add_argument("--method", default="greedy", choices=METHODS)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--decoders", type=int, default=0, help="threads that decode pictures")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action="store_true", help="the engine's image encoders")
    parser.add_argument("--profile", default="", help="a file for the engine's costliest kernels")
    for hidden in ("--worker", "--folder"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    parser.add_argument("--worker-side", type=int, default=0, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
