-- What share of the kept pictures of a batch are copies of another one of the batch?
-- reads sample, duplicate; returns slice, metric, n
-- copies of earlier batches are no sign of a feed that loops: a site that is crawled again is known
select
    sample.batch as slice,
    avg((duplicate.key is not null)::int) as metric,
    count(*) as n
from sample
left join duplicate
    on duplicate.batch = sample.batch
    and duplicate.keeper_batch = sample.batch
    and duplicate.key = sample.key
where sample.outcome = 'kept'
group by sample.batch
