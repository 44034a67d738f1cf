-- How well does each filter tell right web texts from those that are known to be wrong?
-- reads v_auc, v_labelled, concerned_selection; returns measure, slice, series, metric, n
with

filtered as (
    from concerned_selection
    where score_run <> ''
),

found as (
    select
        v_labelled.selection as slice,
        avg((v_labelled.itm_probability < filtered.threshold)::int) as metric,
        count(*) as n
    from v_labelled
    join filtered using (selection)
    where
        v_labelled.is_noise
        and not v_labelled.is_duplicate
        and v_labelled.itm_probability is not null
    group by v_labelled.selection
)

select
    'auc' as measure,
    v_auc.selection as slice,
    'web' as series,
    v_auc.auc as metric,
    v_auc.n_clean + v_auc.n_noise as n
from v_auc
join filtered using (selection)
where v_auc.signal = 'itm_probability'
union all
select
    'recall' as measure,
    slice,
    'web' as series,
    metric,
    n
from found
