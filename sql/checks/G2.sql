-- What share of the candidates answered with bytes, in each batch and in its worst shards?
-- reads sample, stage_run, concerned_batch; returns measure, slice, metric, n
-- robots.txt and opt-outs are answers too: nobody was asked for bytes
with

asked as (
    select
        batch,
        shard,
        coalesce(bytes, 0) > 0 or outcome = 'kept' as is_fetched
    from sample
    where
        outcome not in ('robots_txt', 'opted_out')
        and batch in (select batch from concerned_batch)
),

shards as (
    select
        'shard' as measure,
        batch || '/' || shard as slice,
        avg(is_fetched::int) as metric,
        count(*) as n
    from asked
    -- What was put aside for it is in no selection any more.
    anti join (from stage_run where stage = 'quarantine' and run = 'ingestion') as aside
        using (batch, shard)
    group by batch, shard
    -- The worst of a batch, and whichever else lies below the limit of a warning.
    qualify metric < 0.60 or row_number() over (partition by batch order by metric, shard) = 1
)

select
    'batch' as measure,
    batch as slice,
    avg(is_fetched::int) as metric,
    count(*) as n
from asked
group by batch
union all
select * from shards
