-- Which kinds of known noise does the selection's filter find in the canary?
-- reads selection, v_canary; returns a row a batch and kind of noise of the selection $selection, and one for all
select
    v_canary.batch,
    coalesce(v_canary.noise, 'all') as noise,
    v_canary.n_noise,
    v_canary.n_clean,
    v_canary.noise_precision,
    v_canary.noise_recall,
    v_canary.clean_kept_rate,
    v_canary.auc,
    v_canary.canary
from selection
join v_canary
    on v_canary.run = selection.score_run
    and list_contains(selection.batches, v_canary.batch)
where selection.id = $selection
order by v_canary.batch, v_canary.noise is not null, v_canary.n_noise desc, v_canary.noise
