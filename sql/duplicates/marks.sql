-- What was marked in earlier batches?
-- reads raw_mark; returns a row a copy: its batch and key, and those of its keeper
select
    parse_path(path)[-2] as batch,
    key,
    coalesce(keeper_batch, parse_path(path)[-2]) as keeper_batch,
    keeper
from raw_mark
