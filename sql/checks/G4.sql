-- Is a key doubled within a batch, or selected without a picture to show for it?
-- reads sample, selected, concerned_batch, concerned_selection; returns measure, slice, metric, n
with

doubled as (
    select
        batch as slice,
        count(*) - count(distinct key) as metric,
        count(*) as n
    from sample
    where batch in (select batch from concerned_batch)
    group by batch
),

pointless as (
    select
        selected.selection as slice,
        count(*) filter (sample.tar_offset is null or sample.outcome <> 'kept') as metric,
        count(*) as n
    from selected
    join concerned_selection using (selection)
    left join sample
        on sample.batch = selected.batch
        and sample.shard = selected.shard
        and sample.key = selected.key
    group by selected.selection
)

select
    'keys' as measure,
    *
from (select * from doubled union all select * from pointless)
