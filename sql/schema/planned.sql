-- Which candidates were planned, and into which shards?
-- reads raw_plan; returns a row a candidate, with batch and shard from its path
select
    parse_path(path)[-2] as batch,
    split_part(parse_path(path)[-1], '.', 1) as shard,
    key
from raw_plan
