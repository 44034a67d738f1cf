-- How many pictures get how far, from planned candidate to training?
-- reads sample, planned, shard_final; returns a row a selection, batch and step
create or replace view v_funnel as
with

chosen as (
    select
        id as selection,
        unnest(batches) as batch
    from selection
),

candidates as (
    select
        batch,
        count(*) as n
    from planned
    group by all
),

pictures as (
    select
        sample.batch,
        count(*) filter (outcome = 'kept') as n_kept
    from sample
    group by all
),

texts as (
    select
        selection,
        batch,
        sum(n_distinct)::bigint as n_distinct,
        sum(n_sound)::bigint as n_sound,
        sum(n_selected)::bigint as n_selected
    from shard_final
    group by all
),

steps as (
    select
        chosen.selection,
        chosen.batch,
        unnest([1, 2, 3, 4, 5]) as step,
        unnest([
            'candidates found',
            'pictures fetched and sound',
            'described, and no copy of another',
            'with a text that passes the cheap rules',
            'with a text in the selection'
        ]) as label,
        unnest([
            candidates.n,
            pictures.n_kept,
            texts.n_distinct,
            texts.n_sound,
            texts.n_selected
        ]) as n
    from chosen
    join candidates using (batch)
    left join pictures using (batch)
    left join texts using (selection, batch)
)

select
    selection,
    batch,
    step,
    label,
    n,
    n / nullif(lag(n) over (partition by selection, batch order by step), 0) as yield,
    n / nullif(first_value(n) over (partition by selection, batch order by step), 0) as total_yield
from steps
order by selection, batch, step
