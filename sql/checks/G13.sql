-- How well does each filter tell right texts from wrong ones, of the canary and of web texts of known truth?
-- reads v_auc, v_labelled, v_canary, canary, current_run, concerned_selection; returns measure, slice, series, metric, n
-- a canary is held against the same canary of the last green run; the shipped one is of drawings, an own one of the user's pictures
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
),

judged as (
    select
        v_canary.run,
        v_canary.batch,
        v_canary.run || ' on ' || v_canary.batch as slice,
        v_canary.canary as series,
        v_canary.auc,
        v_canary.n_clean + v_canary.n_noise as n
    from v_canary
    join current_run
        on current_run.stage = 'scoring'
        and current_run.run = v_canary.run
        and current_run.batch = v_canary.batch
    where v_canary.noise is null
),

threshold as (
    select score_run as run, max(threshold) as threshold from filtered group by all
),

-- Before a selection says otherwise, the threshold is BLIP's.
called as (
    select
        judged.slice,
        judged.series,
        canary.is_noise,
        coalesce(canary.itm_probability < coalesce(threshold.threshold, 0.5), false) as is_called
    from judged
    join canary using (run, batch)
    left join threshold using (run)
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
union all
select
    'canary' as measure,
    slice,
    series,
    auc as metric,
    n
from judged
union all
select
    'own canary' as measure,
    slice,
    series,
    auc as metric,
    n
from judged
where series <> 'shipped'
union all
select
    'canary recall' as measure,
    slice,
    series,
    avg(is_called::int) filter (is_noise) as metric,
    count(*) filter (is_noise) as n
from called
group by all
union all
select
    'canary precision' as measure,
    slice,
    series,
    avg(is_noise::int) filter (is_called) as metric,
    count(*) filter (is_called) as n
from called
group by all
