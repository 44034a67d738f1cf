"""What a pretraining step costs: ours beside the published one on transformers' modules.

`make bench-train` runs both by turns (A B, B A), each in a process of its own, on the same pictures
and captions, and prints CPU-seconds a sample, samples a second, FLOP by torch's counter and the
share of this machine's matrix-multiplication rate. On a GPU (`BENCH="--device cuda"`) seconds are
the wall's and both compute in bf16.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[3]
tests.__path__ = [str(ROOT / "tests")]

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from models.batches import MAX_LENGTH, batch_of  # noqa: E402
from models.blip import Blip  # noqa: E402
from models.momentum import Momentum  # noqa: E402
from models.objective import Objective, Step, blip_losses  # noqa: E402
from models.packaged import bert_vocabulary  # noqa: E402
from models.presets import PRESETS, preset  # noqa: E402
from models.schedules import decay_groups  # noqa: E402
from models.tokenization import Tokenizer  # noqa: E402
from tests.benchmarks.train.theirs import Theirs, padded  # noqa: E402

OURS, THEIRS, SHORT = "Caplift", "transformers", "transformers, padded to the longest"
QUEUE, RATE, CLIP = 57600, 3e-4, 1.0
CAPTIONS = (
    "a brown dog runs over the green meadow",
    "two people sit on a bench in front of the sea",
    "a red car",
    "vintage ford mustang convertible parked in front of the old barn in kansas",
    "the kitchen of our new apartment with a view of the harbour",
    "black and white photograph of a bridge",
    "a bowl of soup with bread on a wooden table",
    "children play football in the street",
)


def stepper(
    name: str, size: str, batch_size: int, device: str
) -> tuple[Callable[[], None], nn.Module]:
    """Return what takes one step on the same pairs as the other contender, and its model."""
    torch.manual_seed(1)
    tokenizer = Tokenizer.bert(bert_vocabulary())
    shape = preset(size)
    side = shape.vision.image_size
    pixels = torch.randn(batch_size, 3, side, side).to(device)
    texts = [CAPTIONS[i % len(CAPTIONS)] for i in range(batch_size)]
    make = _ours if name == OURS else _theirs
    model, losses = make(name, tokenizer, size, pixels, texts)
    # Ours as `tasks.training` has it, theirs as the published code does.
    optimiser = torch.optim.AdamW(
        decay_groups(model, 0.05), lr=RATE, fused=True if name == OURS else None
    )
    is_half = device.startswith("cuda")

    def step() -> None:
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=is_half):
            loss = losses()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        if is_half:
            torch.cuda.synchronize()

    return step, model


def _ours(
    _: str, tokenizer: Tokenizer, size: str, pixels: Tensor, texts: Sequence[str]
) -> tuple[nn.Module, Callable[[], Tensor]]:
    model = Blip(preset(size), tokenizer.vocab_size).to(pixels.device).train()
    momentum, how = Momentum(model, QUEUE), Objective(queue_size=QUEUE)
    keys, generator = torch.arange(len(texts)), torch.Generator().manual_seed(1)

    def losses() -> Tensor:
        batch = batch_of(tokenizer, pixels, texts, keys).to(pixels.device)
        return blip_losses(Step(model, momentum, batch, how.alpha, generator, how))["loss"]

    return model, losses


def _theirs(
    name: str, tokenizer: Tokenizer, size: str, pixels: Tensor, texts: Sequence[str]
) -> tuple[nn.Module, Callable[[], Tensor]]:
    model = Theirs(preset(size), tokenizer.vocab_size, QUEUE).train()
    longest = tokenizer.encode(texts, MAX_LENGTH, "cls")[0].shape[1]
    length = longest if name == SHORT else MAX_LENGTH

    def losses() -> Tensor:
        ids, mask = padded(tokenizer, texts, length)
        with torch.device(pixels.device):
            return torch.as_tensor(
                model(pixels, ids.to(pixels.device), mask.to(pixels.device), tokenizer)
            )

    return model.to(pixels.device), losses


def worked(given: argparse.Namespace) -> dict[str, float]:
    """Take the steps of one contender and return what they cost."""
    torch.set_num_threads(given.threads)
    step, model = stepper(given.worker, given.size, given.batch_size, given.device)
    with FlopCounterMode(display=False) as counter:
        step()  # the first, which also warms up
    costs, walls = [], []
    for _ in range(given.steps):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        step()
        costs.append(time.process_time() - cpu_s)
        walls.append(time.perf_counter() - wall_s)
    return {
        "cpu_s": min(costs) / given.batch_size,
        "samples_per_s": given.batch_size / min(walls),
        "flop": counter.get_total_flops() / given.batch_size,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def multiplication_rate(device: str, threads: int) -> float:
    """Return FLOP a second of this machine on square matrices of the model's kind of number."""
    torch.set_num_threads(threads)
    side, is_gpu = (8192, True) if device.startswith("cuda") else (2048, False)
    kind = torch.bfloat16 if is_gpu else torch.float32
    left = torch.randn(side, side, device=device, dtype=kind)
    best = float("inf")
    for _ in range(5):
        began_s = time.perf_counter() if is_gpu else time.process_time()
        left @ left
        if is_gpu:
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() if is_gpu else time.process_time()) - began_s)
    return 2 * side**3 / best


def main(arguments: Sequence[str]) -> None:
    given = _parser().parse_args(arguments)
    if given.worker:
        sys.stdout.write(json.dumps(worked(given)) + "\n")
        return
    console = Console(width=110)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (OURS, THEIRS, SHORT)}
    for repetition in range(given.repetitions):
        for name in list(found)[:: 1 if repetition % 2 == 0 else -1]:
            program = [sys.executable, __file__, *arguments, "--worker", name]
            said = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True).stdout
            found[name].append(json.loads(said.splitlines()[-1]))
            console.print(f"{name}: {found[name][-1]['cpu_s']:.2f} CPU-s a sample", highlight=False)
    show(console, given, found)


def show(
    console: Console, given: argparse.Namespace, found: dict[str, list[dict[str, float]]]
) -> None:
    rate = multiplication_rate(given.device, given.threads)
    is_gpu = given.device.startswith("cuda")
    best = {
        name: {
            key: statistics.median(run[key] for run in runs)
            for key in ("cpu_s", "samples_per_s", "flop", "parameters")
        }
        for name, runs in found.items()
    }
    # On a GPU what counts is the wall's seconds, on a CPU its own.
    seconds = {n: 1 / b["samples_per_s"] if is_gpu else b["cpu_s"] for n, b in best.items()}
    table = Table(
        title=f"pretraining {given.size}, {given.batch_size} pairs a step, {given.device}, "
        f"{given.threads} threads; matrix products: {rate / 1e9:.0f} GFLOP/s"
    )
    for column in ("", "s a sample", "samples/s", "GFLOP a sample", "share of rate", "ours is"):
        table.add_column(column, justify="left" if not column else "right")
    for name, numbers in best.items():
        table.add_row(
            name,
            f"{seconds[name]:.3f}",
            f"{numbers['samples_per_s']:.2f}",
            f"{numbers['flop'] / 1e9:.1f}",
            f"{numbers['flop'] / seconds[name] / rate:.2f}",
            "" if name == OURS else f"{seconds[name] / seconds[OURS]:.2f} x faster",
        )
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-train", description=__doc__)
    parser.add_argument("--size", default="base", choices=sorted(PRESETS))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="measured after a first one")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
