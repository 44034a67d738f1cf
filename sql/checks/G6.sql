-- What share of the kept pictures of a batch are copies of another one?
-- reads sample, duplicate; returns slice, metric, n
select
    sample.batch as slice,
    avg((duplicate.key is not null)::int) as metric,
    count(*) as n
from sample
left join duplicate
    on duplicate.batch = sample.batch
    and duplicate.key = sample.key
where sample.outcome = 'kept'
group by sample.batch
