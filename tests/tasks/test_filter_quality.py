"""A filter's precision, recall and AUC are those that a hand-made truth gives."""

from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.errors import LakeError
from tasks.filter_quality import filter_quality
from tasks.storage import Lake, Shard

SHARD = Shard("web", "00000")
# key, text, ITM, ITC, free energy, kind of noise
CAPTIONS = [
    ("k0", "a red cat", 0.9, 0.30, -5.0, "none"),
    ("k1", "a blue dog", 0.6, 0.10, -4.0, "none"),
    ("k2", "two green trees", 0.3, 0.20, -3.0, "none"),  # right, and called noise
    ("k3", "a red cat", 0.1, 0.05, -1.0, "swapped"),
    ("k4", "a boat", 0.7, 0.15, -2.0, "swapped"),  # wrong, and kept
    ("k5", "click  here", 0.2, -0.20, 0.0, "boilerplate"),
    ("k6", "IMG_1.jpg", 0.4, 0.25, -6.0, "filename"),
]


def write(lake: Lake, captions: list[tuple[str, str, float, float, float, str]]) -> None:
    lake.publish_json(lake.plan_record("web"), {"shards": 1})
    found: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    for key, text, itm, itc, energy, noise in captions:
        caption_id = f"c-{key}"
        found.append({"caption_id": caption_id, "key": key, "text": text})
        scores.append(
            {"caption_id": caption_id, "key": key, "itm_probability": itm, "itc_cosine": itc}
            | {"free_energy": energy}
        )
        plain = {"key": key, "text": " ".join(text.split()), "noise": noise}
        truth.append({**plain, "is_noise": noise != "none"})
    found.append({"caption_id": "c-logo", "key": "k9", "text": "our logo"})
    scores.append({"caption_id": "c-logo", "key": "k9", "itm_probability": 0.5})
    scores.append({"caption_id": "synthetic", "key": "k0", "itm_probability": 0.0})
    for table, run, listed, schema in (
        ("captions", "ingestion", found, rows.CAPTIONS),
        ("scores", "s", scores, rows.SCORES),
    ):
        rows.write_rows(lake, lake.rows(table, run, SHARD), rows.table_of(listed, schema))
    rows.write_rows(lake, "truth/web.parquet", rows.table_of(truth, rows.TRUTH))


def test_precision_and_recall_are_counted_by_hand(lake: Lake) -> None:
    write(lake, CAPTIONS)
    found = filter_quality(lake, "s", "web")
    assert (found.pairs, found.unknown, found.noise) == (7, 1, 4)
    # Called noise: k2, k3, k5, k6; three of them are, of four that are.
    assert found.precision == pytest.approx(3 / 4)
    assert found.recall == pytest.approx(3 / 4)
    assert found.f1 == pytest.approx(3 / 4)
    assert found.clean_kept == pytest.approx(2 / 3)
    assert {kind: one.recall for kind, one in found.kinds.items()} == {
        "boilerplate": 1,
        "filename": 1,
        "swapped": 0.5,
    }
    assert found.kinds["swapped"].pairs == 2


def test_auc_is_the_share_of_clean_and_noisy_pairs_in_the_right_order(lake: Lake) -> None:
    write(lake, CAPTIONS)
    found = filter_quality(lake, "s", "web")
    # ITM: .9 beats all 4; .6 beats .1 .2 .4; .3 beats .1 .2.
    assert found.auc["itm_probability"] == pytest.approx((4 + 3 + 2) / 12)
    # ITC: .30 beats all; .10 beats .05 -.20; .20 beats .05 .15 -.20.
    assert found.auc["itc_cosine"] == pytest.approx((4 + 2 + 3) / 12)
    # An energy is lower for what is likelier: each clean one is below all but -6.
    assert found.auc["free_energy"] == pytest.approx(9 / 12)
    assert found.kinds["swapped"].auc["itm_probability"] == pytest.approx((2 + 1 + 1) / 6)
    assert set(found.auc) == {"itm_probability", "itc_cosine", "free_energy"}


def test_another_threshold_calls_other_captions_noise(lake: Lake) -> None:
    write(lake, CAPTIONS)
    found = filter_quality(lake, "s", "web", threshold=0.15)
    assert (found.precision, found.recall, found.clean_kept) == (1.0, 0.25, 1.0)


def test_a_truth_without_noise_has_no_recall_and_no_auc(lake: Lake) -> None:
    write(lake, CAPTIONS[:3])
    found = filter_quality(lake, "s", "web")
    assert (found.noise, found.recall, found.f1, found.auc, found.kinds) == (0, None, None, {}, {})
    assert found.precision == 0  # k2 is called noise and is not


def test_scores_that_meet_no_truth_are_refused_in_one_line(lake: Lake) -> None:
    write(lake, [])
    with pytest.raises(LakeError, match="none of the 1 captions"):
        filter_quality(lake, "s", "web")
    Path(lake.path("truth/web.parquet")).unlink()
    with pytest.raises(LakeError, match=r"truth/web\.parquet is missing"):
        filter_quality(lake, "s", "web")
