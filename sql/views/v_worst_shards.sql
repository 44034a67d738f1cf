-- Which shards keep much less than the others?
-- reads sample_final; returns a row a selection and shard, with a robust z score, the lowest first
create or replace view v_worst_shards as
with

rates as (
    select
        selection,
        batch,
        shard,
        count(*) as n,
        avg(kept::int) as keep_rate,
        median(itm_probability) as median_itm
    from sample_final
    group by all
),

centred as (
    select
        selection,
        batch,
        median(keep_rate) as middle,
        mad(keep_rate) as spread
    from rates
    group by all
)

select
    rates.selection,
    rates.batch,
    rates.shard,
    rates.n,
    rates.keep_rate,
    rates.median_itm,
    (rates.keep_rate - centred.middle) / nullif(1.4826 * centred.spread, 0) as robust_z
from rates
join centred
    on centred.selection = rates.selection
    and centred.batch = rates.batch
order by robust_z nulls last, rates.selection, rates.batch, rates.shard
