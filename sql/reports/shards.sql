-- Which shards keep much less than the others?
-- reads v_worst_shards; returns the twelve worst of the selection $selection
select
    batch,
    shard,
    n,
    keep_rate,
    median_itm,
    robust_z
from v_worst_shards
where selection = $selection
order by robust_z nulls last, batch, shard
limit 12
