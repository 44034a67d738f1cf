"""A fitted machine's PMI of every text decides, in a policy and in SQL, which texts are trained on.

Nothing is planted but vectors: the machine is fitted, its scores are written by its own stage, and
the texts that say nothing of their pictures are those that go.
"""

import numpy as np
import pytest

from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.pair_scores import score_pairs
from tasks.rbm.fitting import fit_rbm
from tasks.selection import Selection, Thresholds, select
from tasks.storage import Lake, Shard
from tasks.vectors import vectors_table
from tests.lakes import CAPTIONER, FILTER, Painted, Text, caption_id, key_of, write_batch
from tests.selecting import ALSO_GOOD, GOOD, table
from tests.vectors import PAIRS, drawn_vectors, quick, write_sides

pytestmark = pytest.mark.slow

PICTURES = 31
SHARD = Shard("web", "00000")
QUANTILE = 0.3


def written(lake: Lake) -> None:
    """A web and a synthetic text a picture; every third web text is of another picture."""
    own = [
        Painted(
            name=f"p{n}",
            texts=[Text(text=f"{GOOD} {n}"), Text(text=f"{ALSO_GOOD} {n}", source="synthetic")],
        )
        for n in range(PICTURES)
    ]
    write_batch(lake, "web", own)
    images, texts = drawn_vectors(PAIRS + PICTURES)
    write_sides(lake, images[:PAIRS], texts[:PAIRS], "learnt", Shard("other", "00000"))
    images, right = images[PAIRS:], texts[PAIRS:]
    web = right.copy()
    web[::3] = np.roll(right[::3], 1, axis=0)
    named = [
        {"key": key_of("web", f"p{n}"), "caption_id": caption_id("web", f"p{n}", source)}
        for source in ("web", "synthetic")
        for n in range(PICTURES)
    ]
    vectors = vectors_table(named, np.vstack([images, images]), np.vstack([web, right]))
    rows.write_rows(lake, lake.rows("vectors", "ranked", SHARD), vectors)


def test_texts_that_say_nothing_of_their_pictures_are_dropped_and_the_reason_is_told(
    lake: Lake,
) -> None:
    written(lake)
    for _ in fit_rbm(lake, "machine", "learnt", ("other",), quick()):
        pass
    score_pairs(lake, "machine", "ranked", SHARD)
    how = Selection(
        policy="pmi",
        batches=("web",),
        caption_runs=(CAPTIONER,),
        score_run=FILTER,
        rbm_run="machine",
        thresholds=Thresholds(rbm_pmi_quantile=QUANTILE, repeated_count=100),
    )
    chosen = select(lake, how)
    pmi = scores(lake)
    dropped = {
        row["caption_id"]: (row["value"], row["threshold"])
        for row in table(lake, "decisions", chosen.id)
        if (row["rule"], row["verdict"]) == ("rbm_pmi", "drop")
    }
    for source in ("web", "synthetic"):
        ids = [caption_id("web", f"p{n}", source) for n in range(PICTURES)]
        cut = float(np.quantile([pmi[one] for one in ids], QUANTILE))
        below = {one: (pmi[one], cut) for one in ids if pmi[one] < cut}
        assert len(below) == 9  # of 31 three in ten
        assert {one: dropped[one] for one in ids if one in dropped} == {
            one: (np.float32(value), np.float32(cut)) for one, (value, cut) in below.items()
        }
    kept = {row["caption_id"] for row in table(lake, "selections", chosen.id)}
    assert kept == set(pmi) - set(dropped)
    wrong = {caption_id("web", f"p{n}") for n in range(0, PICTURES, 3)}
    assert len(wrong & set(dropped)) >= 7  # of the nine that go
    in_catalogue(lake, pmi)


def scores(lake: Lake) -> dict[str, float]:
    """The PMI of every text, by caption_id."""
    found = rows.read_rows(lake, lake.rows("scores", "machine", SHARD), ["caption_id", "rbm_pmi"])
    return {str(row["caption_id"]): float(row["rbm_pmi"]) for row in found.to_pylist()}


def in_catalogue(lake: Lake, pmi: dict[str, float]) -> None:
    """See that every (image, text) has its PMI there, beside the filter's two scores."""
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        ours = database.ask("select caption_id, rbm_pmi from pair_score where run = 'machine'")
        beside = database.ask(
            "select count(*) as pairs from v_final "
            "where rbm_pmi is not null and itm_probability is not null and itc_cosine is not null"
        )
    assert {row["caption_id"]: row["rbm_pmi"] for row in ours} == pmi
    assert beside[0]["pairs"] == 2 * PICTURES
