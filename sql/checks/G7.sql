-- What share of a batch's web texts is the most frequent one?
-- reads caption; returns slice, metric, n
with

counted as (
    select
        batch,
        text_norm_hash,
        count(*) as repeats
    from caption
    where source = 'web'
    group by all
)

select
    batch as slice,
    max(repeats) / sum(repeats) as metric,
    sum(repeats) as n
from counted
group by batch
