-- What share of a batch's web texts is the most frequent one?
-- reads caption, concerned_batch; returns measure, slice, metric, n
with

counted as (
    select
        batch,
        text_norm_hash,
        count(*) as repeats
    from caption
    where source = 'web' and batch in (select batch from concerned_batch)
    group by all
)

select
    'text' as measure,
    batch as slice,
    max(repeats) / sum(repeats) as metric,
    sum(repeats) as n
from counted
group by batch
