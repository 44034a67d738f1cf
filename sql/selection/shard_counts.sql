-- How many captions, decisions and selected texts has every shard?
-- reads candidate, decision, selected; returns a row a shard, in order
with

offered as (
    select
        batch,
        shard,
        count(*) as captions
    from candidate
    group by all
),

decided as (
    select
        batch,
        shard,
        count(*) as decisions,
        count(distinct caption_id) filter (verdict = 'drop') as dropped
    from decision
    group by all
),

kept as (
    select
        batch,
        shard,
        count(*) as selected
    from selected
    group by all
)

select
    batch,
    shard,
    captions,
    coalesce(decisions, 0) as decisions,
    coalesce(dropped, 0) as dropped,
    coalesce(selected, 0) as selected
from offered
left join decided using (batch, shard)
left join kept using (batch, shard)
order by batch, shard
