"""A lake of made-up rows, as large as wished: what every stage would have left, without pictures.

Everything follows from a seed and the number of the shard, so a lake is the same every time.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks import rows
from tasks.storage import FORMAT, Lake, Shard

BATCH, CAPTIONER, FILTER = "web", "captions-made-up", "scores-made-up"
SHARD = 1_000  # pictures
SEED = 20_261_121
DAY_MS, FIRST_DAY_MS, DAYS = 86_400_000, 1_789_000_000_000, 30
DOMAINS, LANGUAGES = 3_000, ("en", "en", "en", "en", "en", "de", "fr", "es")
TOLD = """
red blue small old wet quiet tall round dog cat boat tree road house cup bird lamp bridge stands
runs sleeps waits falls shines near under over behind water stone grass snow light rain hills walls
"""
WORDS = TOLD.split()

Columns = dict[str, Any]


def make_lake(lake: Lake, captions: int) -> None:
    """Write plans, rows, captions, scores, duplicates and truth."""
    shards = captions // 2 // SHARD
    for number in range(shards):
        _write_shard(lake, number, again=0)
    _write_duplicates(lake, shards)
    _write(lake, f"truth/{BATCH}.parquet", _truth(shards), rows.TRUTH)
    lake.publish_json(lake.plan_record(BATCH), {"shards": shards})


def make_shard_again(lake: Lake, captions: int) -> None:
    """Write the last shard anew, with other values."""
    _write_shard(lake, captions // 2 // SHARD - 1, again=1)


def teach(lake: Lake, selection: str) -> None:
    """Write the card of a model that was trained on a selection."""
    card = {"facts": {"selections": {selection: ""}, "stage": "pretraining"}}
    lake.publish_json("checkpoints/pretraining/00000001/checkpoint.json", card)


def keys_of(number: int) -> list[str]:
    """Return the keys of a shard's pictures."""
    first = number * SHARD
    return [rows.key_of(f"https://pictures.example/{n}") for n in range(first, first + SHARD)]


def _write_shard(lake: Lake, number: int, again: int) -> None:
    random = np.random.default_rng((SEED, number, again))
    shard = Shard(BATCH, f"{number:05d}")
    keys = keys_of(number)
    of = {"key": keys, "batch": [BATCH] * SHARD, "shard": [shard.name] * SHARD}
    found = {**of, **_texts(random, keys, "web", "ingestion")}
    written = {**of, **_texts(random, keys, "synthetic", CAPTIONER)}
    scored = {n: [*found[n], *written[n]] for n in ("key", "batch", "shard", "caption_id")}
    tables = {
        "plans": ("", {"key": keys}, rows.PLANS, ""),
        "web": ("", {**of, **_pictures(random, number)}, rows.WEB, "ingestion"),
        "captions": ("ingestion", found, rows.CAPTIONS, "ingestion"),
        "captions of ours": (CAPTIONER, written, rows.CAPTIONS, "captioning"),
        "scores": (FILTER, {**scored, **_scores(random)}, rows.SCORES, "scoring"),
    }
    committed: dict[tuple[str, str], list[str]] = {}
    for name, (run, columns, schema, stage) in tables.items():
        path = lake.rows(name.split()[0], run, shard)
        _write(lake, path, columns, schema)
        if stage:
            committed.setdefault((stage, run or "ingestion"), []).append(path)
    for (stage, run), paths in committed.items():
        _commit(lake, stage, run, shard, paths)


def _pictures(random: np.random.Generator, number: int) -> Columns:
    kept = random.random(SHARD) > 0.06
    domain = np.minimum(random.zipf(1.3, SHARD), DOMAINS)
    fetched = FIRST_DAY_MS + DAY_MS * (number % DAYS) + random.integers(0, DAY_MS, SHARD)
    normal = random.normal(size=(8, SHARD)).astype(np.float32)
    hashes = random.integers(0, 1 << 63, (2, SHARD), dtype=np.uint64)
    sides = random.integers(180, 1_600, (2, SHARD))
    first = number * SHARD
    return {
        "url": [f"https://site{d}.example/{n}.jpg" for n, d in enumerate(domain, first)],
        "page_url": [f"https://site{d}.example/" for d in domain],
        "domain": [f"site{d}.example" for d in domain],
        "source": ["web"] * SHARD,
        "outcome": np.where(kept, "kept", "http_error"),
        "http_status": np.where(kept, 200, 404),
        "status": np.where(kept, "success", "failed_to_download"),
        "fetched_at": fetched,
        "bytes": random.integers(5_000, 300_000, SHARD),
        "sha256": [f"{n:064x}" for n in range(first, first + SHARD)],
        "original_width": sides[0],
        "original_height": sides[1],
        "phash": hashes[0],
        "dhash": hashes[1],
        "lap_var": np.exp(normal[0] + 5),
        "entropy": np.clip(normal[1] + 6, 0, 8),
        "bright_p1": np.clip(0.1 + normal[2] / 20, 0, 1),
        "bright_p50": np.clip(0.5 + normal[3] / 6, 0, 1),
        "bright_p99": np.clip(0.9 + normal[4] / 20, 0, 1),
        "colorfulness": np.abs(normal[5]) * 30,
        "flat_frac": np.clip(0.2 + normal[6] / 5, 0, 1),
        "edge_frac": np.clip(0.1 + normal[7] / 20, 0, 1),
        "axis_frac": random.random(SHARD),
    }


def _texts(random: np.random.Generator, keys: list[str], source: str, run: str) -> Columns:
    n_words = random.integers(2, 13, SHARD)
    # One found text in twenty is one of forty that stand under many pictures.
    common = (random.random(SHARD) < 0.05) & (source == "web")
    named = np.where(common, random.integers(0, 40, SHARD), random.integers(40, 1 << 62, SHARD))
    texts = [_sentence(int(name), int(n)) for name, n in zip(named, n_words, strict=True)]
    special = random.random((5, SHARD)).astype(np.float32)
    return {
        "caption_id": [rows.caption_id_of(key, source, run, 0) for key in keys],
        "run": [run] * SHARD,
        "source": [source] * SHARD,
        "index": [0] * SHARD,
        "text": texts,
        "model": [None if source == "web" else "checkpoints/captioner/00000001"] * SHARD,
        "lm_logprob": [None] * SHARD if source == "web" else random.normal(-1.5, 0.4, SHARD),
        "degenerate": [None if source == "web" else False] * SHARD,
        "n_chars": [len(text) for text in texts],
        "n_words": n_words,
        "lang": random.choice(LANGUAGES, SHARD),
        "lang_conf": special[0],
        "alpha_ratio": 1 - special[1] ** 8,
        "digit_ratio": special[2] ** 16,
        "special_ratio": special[3] ** 16,
        "upper_ratio": special[4] / 5,
        "char_rep": special[1] ** 12,
        "word_rep": special[2] / 3,
        "has_stop_phrase": special[3] < 0.02,
        "is_filename": special[4] < 0.01,
        "url_in_text": special[0] < 0.005,
        "pii_flag": special[1] < 0.002,
        "complexity": n_words // 2,
        "text_norm_hash": named.astype(np.uint64),
    }


def _sentence(name: int, n_words: int) -> str:
    words = []
    for _ in range(n_words):
        name, at = divmod(name, len(WORDS))
        words.append(WORDS[at])
    return " ".join(words)


def _scores(random: np.random.Generator) -> Columns:
    itm = np.concatenate([random.beta(0.6, 0.7, SHARD), random.beta(1.6, 0.6, SHARD)])
    return {
        "run": [FILTER] * (2 * SHARD),
        "model": ["checkpoints/filter/00000001"] * (2 * SHARD),
        "itm_probability": itm,
        "itc_cosine": itm / 2 + random.normal(0, 0.1, 2 * SHARD),
    }


def _write_duplicates(lake: Lake, shards: int) -> None:
    """Let one picture in fifty repeat one of another shard."""
    random = np.random.default_rng(SEED)
    keys = [key for number in range(shards) for key in keys_of(number)]
    pairs = random.permutation(len(keys))[: len(keys) // 25].reshape(2, -1)
    copies = pairs.shape[1]
    columns = {
        "key": [keys[at] for at in pairs[0]],
        "keeper": [keys[at] for at in pairs[1]],
        "keeper_batch": [BATCH] * copies,
        "method": ["phash"] * copies,
        "distance": random.integers(0, 4, copies),
    }
    shard = Shard(BATCH, "00000")
    path = lake.rows("duplicates", "ingestion", shard)
    _write(lake, path, columns, rows.DUPLICATES)
    _commit(lake, "duplicates", "ingestion", shard, [path])


def _truth(shards: int) -> Columns:
    """Know the truth of the pictures of every fifth shard; a third of them are noise."""
    known = range(0, shards, 5)
    keys = [key for number in known for key in keys_of(number)]
    noisy: NDArray[np.bool_] = np.random.default_rng(SEED + 1).random(len(keys)) < 1 / 3
    texts: list[str] = []
    for number in known:
        random = np.random.default_rng((SEED, number, 0))
        texts += _texts(random, keys_of(number), "web", "ingestion")["text"]
    return {
        "key": keys,
        "text": texts,
        "right_text": texts,
        "noise": np.where(noisy, "swapped", "none"),
        "is_noise": noisy,
    }


def _write(lake: Lake, relative: str, columns: Columns, schema: pa.Schema) -> None:
    """Write a table, null where nothing is said; not durable, for it can be made up again."""
    length = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name], from_pandas=True).cast(field.type, safe=False)
        if field.name in columns
        else pa.nulls(length, field.type)
        for field in schema
    ]
    path = lake.local_path(relative)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")


def _commit(lake: Lake, stage: str, run: str, shard: Shard, paths: list[str]) -> None:
    record = {
        "format": FORMAT,
        "stage": stage,
        "run": run,
        "batch": shard.batch,
        "shard": shard.name,
        "files": [{"path": path, "bytes": 0, "sha256": f"{shard}{path}"} for path in paths],
        "rows": {"planned": SHARD, "kept": SHARD, "pictures": SHARD},
        "seconds": 1.0,
        "versions": {},
        "committed_at": "2026-11-21T00:00:00+00:00",
    }
    path = lake.local_path(lake.commit_path(stage, run, shard))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
