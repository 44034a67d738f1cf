"""What a job keeps of its canary: a row a pair."""

import pyarrow as pa

from tasks.storage import Shard

CANARIES = pa.schema(
    {
        "canary": pa.string(),
        "key": pa.string(),
        "text": pa.string(),
        "noise": pa.string(),
        "is_noise": pa.bool_(),
        "batch": pa.string(),
        "shard": pa.string(),
        "run": pa.string(),
        "model": pa.string(),
        "itc_cosine": pa.float32(),
        "itm_probability": pa.float32(),
    }.items()
)


def canary_path(run: str, shard: Shard) -> str:
    """Return where the rows lie."""
    return f"canaries/{run}/{shard.batch}/{shard.name}.parquet"
