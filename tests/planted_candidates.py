"""Two pictures with a candidate of each of two runs, every score of them known."""

from pathlib import Path
from typing import Any

from tasks import rows
from tasks.reranking.stage import Reranking, Weights
from tasks.storage import Lake, Shard, open_lake
from tests.small_lake import picture_key

SHARD = Shard("web", "00000")
HOW = Reranking(
    caption_runs=("beam", "drawn"),
    score_run="filter",
    rbm_run="rbm",
    weights=Weights(lm=0.1, itm=0.2, itc=0.3, pmi=0.4),
)
# lm_logprob, n_tokens, itm_probability, itc_cosine, rbm_pmi of the candidates of pictures 0 and 1.
BEAM = ((-6.0, 3, 0.5, 0.1, 1.0), (-4.0, 2, 0.9, 0.5, 7.0))
DRAWN = ((-8.0, 2, 0.9, 0.3, 5.0), (-9.0, 3, 0.1, 0.1, 3.0))


def planted(root: Path, *, pmi: float | None = 5.0) -> Lake:
    """Two pictures with a candidate of each run, all scores known."""
    lake = open_lake(str(root), create=True)
    told: dict[str, list[dict[str, Any]]] = {"filter": [], "rbm": []}
    for run, numbers in (("beam", BEAM), ("drawn", DRAWN)):
        captions = []
        for picture, (logprob, tokens, itm, itc, own_pmi) in enumerate(numbers):
            key = picture_key("web", picture)
            name = {"caption_id": rows.caption_id_of(key, "synthetic", run, 0), "key": key}
            text = f"{run} {picture}"
            written = {"text": text, "run": run, "lm_logprob": logprob, "n_tokens": tokens}
            captions.append({**name, **written})
            told["filter"].append({**name, "itm_probability": itm, "itc_cosine": itc})
            own = pmi if (run, picture) == ("drawn", 0) else own_pmi
            told["rbm"].append({**name, "rbm_pmi": own})
        table = rows.table_of(captions, rows.CAPTIONS)
        rows.write_rows(lake, lake.rows("captions", run, SHARD), table)
    for run, scores in told.items():
        rows.write_rows(lake, lake.rows("scores", run, SHARD), rows.table_of(scores, rows.SCORES))
    lake.publish_json(lake.plan_record("web"), {"shards": 1})
    return lake
