-- What became of every caption?
-- reads place, decision, rule; returns a row a caption: its place, and what it was dropped for
-- the reasons of a caption are the bits of one number: lists of a million captions would take seconds
with

named as (
    select
        "order",
        dense_rank() over (order by reason) - 1 as bit
    from rule
),

decided as (
    select
        decision.place,
        count(*) as decisions,
        min_by(named.bit, decision."order") filter (decision.drops) as first_bit,
        bit_or(1::bigint << named.bit) filter (decision.drops) as reasons
    from decision
    join named using ("order")
    group by decision.place
)

select
    place.number,
    place.place,
    place.batch,
    place.shard,
    place.source,
    coalesce(decided.decisions, 0) as decisions,
    decided.first_bit,
    decided.reasons,
    decided.reasons is null as is_selected
from place
left join decided using (place)
