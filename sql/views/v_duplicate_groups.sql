-- Which pictures have the most copies?
-- reads duplicate, sample; returns a row a keeper, the largest group first
create or replace view v_duplicate_groups as
select
    duplicate.batch,
    duplicate.keeper,
    count(*) as copies,
    count(distinct sample.shard) as shards,
    max(duplicate.distance) as max_distance,
    list(duplicate.key order by duplicate.distance, duplicate.key)[:8] as keys
from duplicate
left join sample
    on sample.batch = duplicate.batch
    and sample.key = duplicate.key
group by duplicate.batch, duplicate.keeper
order by copies desc, duplicate.batch, duplicate.keeper
