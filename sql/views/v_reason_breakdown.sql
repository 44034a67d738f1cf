-- Why were captions dropped: for any rule, for the first, and for no other?
-- reads sample_final, rule; returns a row a selection, source and reason
create or replace view v_reason_breakdown as
with

each_reason as (
    select
        selection,
        source,
        unnest(all_reasons) as reason,
        first_reason,
        len(all_reasons) as n_reasons
    from sample_final
    where not kept
),

families as (
    select
        reason,
        min("order") as "order",
        any_value(family) as family
    from rule
    group by all
)

select
    selection,
    source,
    reason,
    family,
    count(*) as n_any,
    count(*) filter (first_reason = reason) as n_first,
    count(*) filter (n_reasons = 1) as n_only
from each_reason
join families using (reason)
group by selection, source, reason, family
order by selection, source, n_first desc, reason
