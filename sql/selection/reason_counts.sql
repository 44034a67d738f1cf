-- Why were captions dropped: by any rule, by the first, and by no other?
-- reads decision; returns reason, n_any, n_first and n_only, the most frequent first
-- the reasons of a caption are the bits of one number: lists of a million captions would take seconds
with

named as (
    select
        reason,
        row_number() over (order by reason) - 1 as bit
    from (select distinct reason from decision where verdict = 'drop')
),

dropped as (
    select
        min_by(bit, decision."order") as first_bit,
        bit_or(1::bigint << bit) as reasons
    from decision
    join named using (reason)
    where verdict = 'drop'
    group by batch, caption_id
),

alike as (
    select
        first_bit,
        reasons,
        count(*) as n
    from dropped
    group by all
)

select
    named.reason,
    sum(n) as n_any,
    coalesce(sum(n) filter (first_bit = bit), 0) as n_first,
    coalesce(sum(n) filter (bit_count(reasons) = 1), 0) as n_only
from named
join alike
    on (reasons >> bit) & 1 = 1
group by named.reason
order by n_first desc, named.reason
