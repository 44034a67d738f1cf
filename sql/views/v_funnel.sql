-- How many pictures get how far, from planned candidate to training?
-- reads sample, planned, sample_final; returns a row a selection, batch and step
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

-- A picture gets as far as the best of its texts.
described as (
    select
        selection,
        batch,
        key,
        bool_or(passes_picture) as is_distinct,
        bool_or(passes_cheap) as is_sound,
        bool_or(kept) as is_selected
    from sample_final
    group by all
),

texts as (
    select
        selection,
        batch,
        count(*) filter (is_distinct) as n_distinct,
        count(*) filter (is_sound) as n_sound,
        count(*) filter (is_selected) as n_selected
    from described
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
