-- Why were captions dropped: by any rule, by the first, and by no other?
-- reads decision; returns reason, n_any, n_first and n_only, the most frequent first
with

dropped as (
    select
        batch,
        caption_id,
        min_by(reason, "order") as first_reason,
        list(distinct reason) as reasons
    from decision
    where verdict = 'drop'
    group by all
),

each_reason as (
    select
        unnest(reasons) as reason,
        first_reason,
        len(reasons) as n_reasons
    from dropped
)

select
    reason,
    count(*) as n_any,
    count(*) filter (first_reason = reason) as n_first,
    count(*) filter (n_reasons = 1) as n_only
from each_reason
group by all
order by n_first desc, reason
