"""One pass over all vectors: which rows are learnt from, the whitener, and rows to look at.

The split is by the picture's key alone, so pairs of one picture are on one side of it, and a
picture that is held out for the test is held out from every machine, whatever it is fitted on. One
that stands under a second key is on both sides: known by its vector, it is left out of those that
are held out.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.rbm.whitening import Whitener, fit_whitener, whitener_from
from tasks.errors import InputError
from tasks.rbm.sample import Sample, picture_prints
from tasks.vectors import Piece, VectorFiles, held_out

log = logging.getLogger(__name__)

TEST_SHARE = 0.1
MAX_BAD_SHARE = 0.01
UNIT_WITHIN = 0.01
ROWS = ("train", "validation", "test", "test_pictures")
TOLD = 3  # damaged rows that are named
DROPPED, TRAIN, VALIDATION, TEST, REPEATED = 0, 1, 2, 3, 4
COUNTED = (
    ("training", TRAIN),
    ("validation", VALIDATION),
    ("test", TEST),
    ("dropped", DROPPED),
    ("repeated", REPEATED),
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a fit knows of its vectors before the first update.

    Attributes:
        whitener: of the rows that are learnt from.
        learnt: bool (rows of all files,): is it learnt from?
        train: float32 (n, 2 E), some of these.
        validation: some rows that say when to stop.
        test: some rows that judge the machine.
        test_pictures: int64 (n,), rows of one picture have one number.
        counts: `training_rows`, `validation_rows`, `test_rows`, `dropped_rows` of all files, and
            `repeated_rows`, held out and left out since their picture is learnt from.
    """

    whitener: Whitener
    learnt: NDArray[np.bool_]
    train: Tensor
    validation: Tensor
    test: Tensor
    test_pictures: Tensor
    counts: dict[str, int]

    def state(self) -> dict[str, Tensor]:
        """Return tensors that `prepared_from` reads back."""
        state = {f"whitener.{name}": value for name, value in self.whitener.state().items()}
        state |= {f"counts.{name}": torch.tensor(count) for name, count in self.counts.items()}
        state |= {name: getattr(self, name) for name in ROWS}
        state["rows"] = torch.tensor(len(self.learnt))
        state["learnt"] = torch.from_numpy(np.packbits(self.learnt))
        return state


def prepared_from(state: dict[str, Tensor]) -> Prepared:
    """Rebuild from `Prepared.state()`."""
    groups: dict[str, dict[str, Tensor]] = {"whitener": {}, "counts": {}}
    for name, value in state.items():
        if "." in name:
            kind, rest = name.split(".", 1)
            groups[kind][rest] = value
    bits = np.unpackbits(state["learnt"].numpy(), count=int(state["rows"]))
    return Prepared(
        whitener=whitener_from(groups["whitener"]),
        learnt=bits.astype(bool),
        counts={name: int(count) for name, count in groups["counts"].items()},
        **{name: state[name] for name in ROWS},
    )


def prepare(files: VectorFiles, validation_share: float, most: int) -> Prepared:
    """Read all vectors once.

    Args:
        files: where they are.
        validation_share: of the pictures, beside those of the test.
        most: rows of each kind that are kept for looks; which they are depends on their keys.

    Raises:
        InputError: too few rows, too many damaged ones, or nothing in them varies.
    """
    # Room for all at once: what is kept of each piece would hold the heap open behind it.
    kinds = np.zeros(sum(files.group_rows), dtype=np.uint8)
    prints = np.zeros(len(kinds), dtype=np.uint64)
    samples = {kind: Sample(most, files.width) for kind in (TRAIN, VALIDATION, TEST)}
    bad: list[str] = []

    def learnt() -> Iterator[Tensor]:
        at = 0
        for piece in _all(files):
            found, own = _kinds(piece, validation_share), picture_prints(piece, files.width)
            here = slice(at, at + len(found))
            kinds[here], prints[here] = found, own
            at += len(found)
            broken = np.flatnonzero(found == DROPPED)[: TOLD - len(bad)]
            bad.extend(f"{piece.path} key {piece.keys[row]}" for row in broken)
            for kind, sample in samples.items():
                sample.add(piece, own, found == kind)
            yield piece.pairs[found == TRAIN].double()

    whitener, trouble = None, ""
    try:
        whitener = fit_whitener(learnt(), files.width)
    except ValueError as error:
        trouble = str(error)
    _check_counts(files, kinds, bad)
    if whitener is None:
        raise InputError(f"the vectors of {files.run} cannot be whitened: {trouble}")
    known = np.unique(prints[kinds == TRAIN])
    kinds[(kinds > TRAIN) & np.isin(prints, known)] = REPEATED
    for kind in (VALIDATION, TEST):
        samples[kind].leave_out(known)
    rows = {kind: sample.rows() for kind, sample in samples.items()}
    counts = {f"{name}_rows": int((kinds == kind).sum()) for name, kind in COUNTED}
    _check_repeated(files, rows, counts)
    _tell(files, whitener, rows[TRAIN], counts)
    pictures = samples[TEST].pictures()
    return Prepared(
        whitener, kinds == TRAIN, rows[TRAIN], rows[VALIDATION], rows[TEST], pictures, counts
    )


def _all(files: VectorFiles) -> Iterator[Piece]:
    for group in range(len(files.groups)):
        yield from files.pieces(group)


def _kinds(piece: Piece, validation_share: float) -> NDArray[np.uint8]:
    """Say of each row what it is for."""
    test = held_out(piece.keys, TEST_SHARE)
    unlearnt = held_out(piece.keys, TEST_SHARE + validation_share)
    kinds = torch.where(test, TEST, torch.where(unlearnt, VALIDATION, TRAIN))
    whole = torch.isfinite(piece.pairs).all(1)
    return torch.where(whole, kinds, DROPPED).to(torch.uint8).numpy()


def _check_counts(files: VectorFiles, kinds: NDArray[np.uint8], bad: list[str]) -> None:
    dropped = int((kinds == DROPPED).sum())
    if dropped > MAX_BAD_SHARE * len(kinds):
        raise InputError(
            f"{dropped} of {len(kinds)} vectors of {files.run} hold NaN or infinite values (the "
            f"first is {bad[0]}); the model that wrote them is broken: embed again with another"
        )
    if dropped:
        log.warning(
            "dropped %d of %d vectors that are not finite, such as %s",
            dropped,
            len(kinds),
            ", ".join(bad),
        )
    if min(int((kinds == kind).sum()) for kind in (TRAIN, VALIDATION, TEST)) < 2:
        raise InputError(
            f"{len(kinds)} pairs are too few to hold some out; fit on more, or raise "
            "validation_share"
        )


def _check_repeated(
    files: VectorFiles, rows: Mapping[int, Tensor], counts: Mapping[str, int]
) -> None:
    if counts["repeated_rows"]:
        log.warning(
            "%d vectors that were held out are left out: their pictures are learnt from under "
            "another key",
            counts["repeated_rows"],
        )
    if min(len(found) for found in rows.values()) < 2:
        raise InputError(
            f"of the vectors of {files.run} that were held out {counts['repeated_rows']} are of "
            "pictures that are learnt from under another key, and too few are left: fit on a "
            "selection, which has every picture once"
        )


def _tell(files: VectorFiles, whitener: Whitener, some: Tensor, counts: dict[str, int]) -> None:
    log.info(
        "%d pairs to learn from, %d and %d held out: %d of %d columns vary enough to be kept",
        counts["training_rows"],
        counts["validation_rows"],
        counts["test_rows"],
        whitener.n_kept,
        2 * files.width,
    )
    for name, side in zip(("image", "text"), torch.split(some, files.width, 1), strict=True):
        norm = float(side.norm(dim=1).mean())
        if abs(norm - 1) > UNIT_WITHIN:
            log.warning(
                "%s vectors have a mean norm of %.3f; an export is unit vectors", name, norm
            )
