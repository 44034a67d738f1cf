-- What would another ITM threshold keep, without scoring anything again?
-- reads sample_final; returns a row a selection, source and threshold
-- n_selected counts the captions that no other reason drops; keep_rate is of all that were scored
create or replace view v_itm_threshold_sweep as
with

threshold as (
    select
        unnest(range(0, 21)) as step,
        unnest(range(0, 21)) / 20 as threshold
),

scored as (
    select
        selection,
        source,
        itm_probability::double as itm,
        floor(greatest(-1, least(21, itm_probability * 20)))::int as near,
        kept or all_reasons = ['itm_mismatch'] as else_kept
    from sample_final
    where itm_probability is not null and not isnan(itm_probability) and source <> 'human'
),

-- The highest threshold that a score reaches; the product above may miss it by a rounding.
counted as (
    select
        selection,
        source,
        near + (itm >= (near + 1) / 20)::int - (itm < near / 20)::int as reached,
        count(*) as n,
        count(*) filter (else_kept) as n_else_kept
    from scored
    group by all
)

select
    selection,
    source,
    threshold,
    sum(n) as n_scored,
    coalesce(sum(n) filter (reached >= step), 0) / sum(n) as keep_rate,
    coalesce(sum(n_else_kept) filter (reached >= step), 0) as n_selected
from counted
cross join threshold
group by selection, source, threshold
order by selection, source, threshold
