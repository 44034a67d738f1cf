-- How well does a selection tell planted noise from right captions?
-- reads v_labelled; returns a row a selection and kind of noise, and one for all (noise null)
-- copies are dropped for being copies and would count as wrong drops, so they are left out
create or replace view v_filter_eval as
with

counted as (
    select
        selection,
        noise,
        count(*) as n,
        count(*) filter (not kept and is_noise) as noise_dropped,
        count(*) filter (not kept and not is_noise) as clean_dropped,
        count(*) filter (kept and is_noise) as noise_kept,
        count(*) filter (kept and not is_noise) as clean_kept
    from v_labelled
    where not is_duplicate
    group by grouping sets ((selection, noise), (selection))
)

select
    selection,
    noise,
    n,
    noise_dropped,
    clean_dropped,
    noise_kept,
    clean_kept,
    noise_dropped / nullif(noise_dropped + clean_dropped, 0) as noise_precision,
    noise_dropped / nullif(noise_dropped + noise_kept, 0) as noise_recall,
    clean_kept / nullif(clean_kept + clean_dropped, 0) as clean_kept_rate,
    noise_kept / nullif(noise_kept + clean_kept, 0) as noise_left
from counted
order by selection, noise nulls first
