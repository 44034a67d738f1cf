-- How full is the emptiest shard of a batch, against the median of its full-sized ones?
-- reads planned, sample; returns slice, metric, n
-- the last shard is as long as is left over and is measured against its own plan
with

filled as (
    select
        planned.batch,
        planned.shard,
        count(*) as n_planned,
        count(*) filter (sample.outcome = 'kept') as n_kept
    from planned
    left join sample using (batch, shard, key)
    group by all
),

typical as (
    select
        batch,
        median(n_kept / n_planned) as fill
    from filled
    group by batch
)

select
    filled.batch as slice,
    coalesce(min(filled.n_kept / filled.n_planned / nullif(typical.fill, 0)), 0) as metric,
    sum(filled.n_planned) as n
from filled
join typical using (batch)
group by filled.batch
