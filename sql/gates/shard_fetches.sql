-- Which shards did an outage spoil, and which of those put aside have come since?
-- reads sample, concerned_batch, stage_run, gate; returns a row a shard to put aside, or (is_aside) to take back
-- a candidate has come when it did in the batch or in a retry of it
with

asked as (
    select
        sample.batch,
        sample.shard,
        sample.key,
        coalesce(sample.bytes, 0) > 0 or sample.outcome = 'kept' as is_fetched
    from sample
    where sample.outcome not in ('robots_txt', 'opted_out')
),

retried as (
    select distinct
        regexp_replace(batch, '-retry[0-9]+$', '') as batch,
        key
    from asked
    where is_fetched and regexp_matches(batch, '-retry[0-9]+$')
),

aside as (
    select
        batch,
        shard
    from stage_run
    where stage = 'quarantine' and run = 'ingestion'
),

fetched as (
    select
        asked.batch,
        asked.shard,
        aside.shard is not null as is_aside,
        count(*) as n,
        avg((asked.is_fetched or retried.key is not null)::int) as share
    from asked
    join concerned_batch using (batch)
    left join retried using (batch, key)
    left join aside using (batch, shard)
    group by all
)

select
    fetched.batch,
    fetched.shard,
    fetched.is_aside,
    fetched.n,
    fetched.share
from fetched
join gate
    on gate.gate = 'G2'
    and gate.measure = 'shard'
where
    (fetched.is_aside and fetched.share >= gate.fail_low)
    or (not fetched.is_aside and fetched.n >= gate.min_n and fetched.share < gate.fail_low)
order by fetched.batch, fetched.shard
