-- Why were captions dropped: by any rule, by the first, and by no other?
-- reads outcome, rule; returns reason, n_any, n_first and n_only, the most frequent first
with

named as (
    select distinct
        reason,
        dense_rank() over (order by reason) - 1 as bit
    from rule
),

alike as (
    select
        first_bit,
        reasons,
        count(*) as n
    from outcome
    where not is_selected
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
