-- What share of the web texts does each filter accept?
-- reads filter_verdict; returns measure, slice, series, metric, n, spread
-- the spread is that of shards, and never less than chance gives a share of so many texts
with

by_shard as (
    select
        run,
        batch,
        shard,
        avg(is_accepted::int) as share
    from filter_verdict
    where source = 'web'
    group by all
),

spreads as (
    select
        run,
        batch,
        mad(share) as spread
    from by_shard
    group by all
),

accepted as (
    select
        run,
        batch,
        avg(is_accepted::int) as share,
        count(*) as n
    from filter_verdict
    where source = 'web'
    group by all
)

select
    'accepted' as measure,
    run || ' on ' || batch as slice,
    'web' as series,
    share as metric,
    n,
    greatest(spread, sqrt(greatest(share * (1 - share), 1 / n) / n)) as spread
from accepted
join spreads using (run, batch)
