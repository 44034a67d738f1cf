-- What share of a selection's pictures is among those that models are judged on?
-- reads selected, sample, selection, concerned_selection, alike_pictures; returns measure, slice, metric, n
with

chosen as (
    select
        selection.id,
        selection.evaluation_batches,
        coalesce(json_extract_string(selection.thresholds, '$.min_entropy')::double, 1.5) as min_entropy,
        coalesce(json_extract_string(selection.thresholds, '$.max_flat_frac')::double, 0.97) as max_flat_frac
    from selection
    join concerned_selection on concerned_selection.selection = selection.id
),

judged as (
    select
        chosen.id as slice,
        sample.*,
        sample.entropy >= chosen.min_entropy and sample.flat_frac <= chosen.max_flat_frac as has_look
    from chosen
    join sample on list_contains(chosen.evaluation_batches, sample.batch)
    where sample.outcome = 'kept'
),

held as (
    select distinct
        selection,
        batch,
        key
    from selected
),

taken as (
    select
        chosen.id as slice,
        sample.*,
        sample.entropy >= chosen.min_entropy and sample.flat_frac <= chosen.max_flat_frac as has_look
    from held
    join chosen on chosen.id = held.selection
    join sample using (batch, key)
),

leaked as (
    select
        slice,
        batch,
        key
    from alike_pictures('taken', 'judged')
)

select
    'leaked' as measure,
    taken.slice,
    avg((leaked.key is not null)::int) as metric,
    count(*) as n
from taken
left join leaked using (slice, batch, key)
group by taken.slice
