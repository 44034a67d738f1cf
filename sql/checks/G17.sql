-- How full are the shards of a batch, against the median one, and is one empty?
-- reads planned, sample, concerned_batch; returns measure, slice, metric, n
-- the last shard is as long as is left over: how thin or fat one is, is measured against its own
-- plan, and one of less than a tenth of the others may be empty by chance
with

filled as (
    select
        planned.batch,
        planned.shard,
        count(*) as n_planned,
        count(*) filter (sample.outcome = 'kept') as n_kept
    from planned
    left join sample using (batch, shard, key)
    where planned.batch in (select batch from concerned_batch)
    group by all
),

typical as (
    select
        batch,
        median(n_kept / n_planned) as fill,
        median(n_planned) as n_planned
    from filled
    group by batch
),

measured as (
    select
        filled.batch,
        filled.batch || '/' || filled.shard as slice,
        filled.n_planned,
        filled.n_kept / filled.n_planned / nullif(typical.fill, 0) as share,
        filled.n_kept / nullif(typical.fill * typical.n_planned, 0) as size,
        filled.n_kept = 0 and filled.n_planned >= typical.n_planned / 10 as is_empty
    from filled
    join typical using (batch)
)

select
    'thinnest' as measure,
    arg_min(slice, (share, slice)) as slice,
    min(share) as metric,
    sum(n_planned) as n
from measured
where share is not null
group by batch
union all
select
    'fullest' as measure,
    arg_max(slice, (size, slice)) as slice,
    max(size) as metric,
    sum(n_planned) as n
from measured
where size is not null
group by batch
union all
select
    'empty' as measure,
    batch as slice,
    count(*) filter (is_empty) as metric,
    sum(n_planned) as n
from measured
group by batch
