-- What would another ITM threshold keep, without scoring anything again?
-- reads sample_final; returns a row a selection, source and threshold
-- n_selected counts the captions that no other reason drops; keep_rate is of all that were scored
create or replace view v_itm_threshold_sweep as
with

threshold as (
    select unnest(range(0, 21)) / 20 as threshold
),

scored as (
    select
        selection,
        source,
        itm_probability,
        len(list_filter(all_reasons, lambda reason: reason <> 'itm_mismatch')) = 0 as else_kept
    from sample_final
    where itm_probability is not null and not isnan(itm_probability) and source <> 'human'
)

select
    selection,
    source,
    threshold,
    count(*) as n_scored,
    avg((itm_probability >= threshold)::int) as keep_rate,
    count(*) filter (itm_probability >= threshold and else_kept) as n_selected
from scored
cross join threshold
group by selection, source, threshold
order by selection, source, threshold
