-- What share of the kept pictures of a batch are copies of another one of the batch?
-- reads sample, duplicate, concerned_batch; returns measure, slice, metric, n
-- copies of earlier batches are no sign of a feed that loops: a site that is crawled again is known
with

marked as (
    select
        sample.batch,
        coalesce(duplicate.method = 'sha256', false) as is_exact,
        coalesce(duplicate.method <> 'sha256', false) as is_near
    from sample
    left join duplicate
        on duplicate.batch = sample.batch
        and duplicate.keeper_batch = sample.batch
        and duplicate.key = sample.key
    where sample.outcome = 'kept' and sample.batch in (select batch from concerned_batch)
)

select
    'exact' as measure,
    batch as slice,
    avg(is_exact::int) as metric,
    count(*) as n
from marked
group by batch
union all
select
    'near' as measure,
    batch as slice,
    avg(is_near::int) as metric,
    count(*) as n
from marked
group by batch
