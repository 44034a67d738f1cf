-- Which selections do the gates judge, and at which ITM probability does each accept a text?
-- reads selection, concerned_batch; returns those of $runs or, when it is empty, all of the judged batches
with

possible as (
    select
        id as selection,
        score_run,
        list_contains($runs::varchar[], id) as is_named,
        coalesce(json_extract_string(thresholds, '$.itm_probability')::double, 0.5) as threshold
    from selection
    where list_has_any(batches, (select list(batch) from concerned_batch))
)

select
    selection,
    score_run,
    threshold
from possible
where is_named or len($runs::varchar[]) = 0
