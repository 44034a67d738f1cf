-- Which pictures came more than once, into different shards?
-- reads dup_group; returns a row a group that spans shards or batches, the largest first
create or replace view v_dup_across_shards as
select
    keeper_batch as batch,
    keeper,
    count(*) as n,
    count(distinct (batch, shard)) as n_shards,
    count(distinct batch) as n_batches,
    list(key order by not is_keeper, distance, key)[:8] as keys
from dup_group
group by keeper_batch, keeper
having count(distinct (batch, shard)) > 1
order by n desc, keeper_batch, keeper
