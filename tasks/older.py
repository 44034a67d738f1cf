"""What lakes of earlier versions lack: columns that were added since, which read as null there."""

from collections.abc import Sequence

import pyarrow as pa

LATER = {
    "trimmed_phash": pa.uint64(),
    "trimmed_dhash": pa.uint64(),
    "axis_frac": pa.float32(),
    "complexity": pa.int16(),
    "keeper_batch": pa.string(),
    "hash_matches": pa.bool_(),
    "n_tokens": pa.int16(),
    "lm_part": pa.float32(),
    "itm_part": pa.float32(),
    "itc_part": pa.float32(),
    "pmi_part": pa.float32(),
    "rerank_score": pa.float32(),
    "rerank_place": pa.int16(),
}


def selected(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the columns of a table in this order; those of LATER that it lacks are null.

    Raises:
        KeyError: it lacks another one.
    """
    for name in LATER.keys() & set(columns) - set(table.column_names):
        table = table.append_column(name, pa.nulls(len(table), LATER[name]))
    return table.select(list(columns))
