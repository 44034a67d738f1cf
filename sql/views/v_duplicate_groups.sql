-- Which pictures have the most copies?
-- reads duplicate, sample; returns a row a keeper with its batch, the largest group first
create or replace view v_duplicate_groups as
select
    duplicate.keeper_batch as batch,
    duplicate.keeper,
    count(*) as copies,
    count(distinct duplicate.batch) as batches,
    count(distinct (duplicate.batch, sample.shard)) as shards,
    max(duplicate.distance) as max_distance,
    list(duplicate.key order by duplicate.distance, duplicate.key)[:8] as keys
from duplicate
left join sample
    on sample.batch = duplicate.batch
    and sample.key = duplicate.key
group by duplicate.keeper_batch, duplicate.keeper
order by copies desc, duplicate.keeper_batch, duplicate.keeper
