-- How well did the filter of every capfilt job do on the canary?
-- reads v_canary, stage_run; returns a row a job, the newest first
select
    v_canary.run,
    v_canary.batch,
    stage_run.committed_at,
    v_canary.noise_precision,
    v_canary.noise_recall,
    v_canary.clean_kept_rate,
    v_canary.auc,
    v_canary.n_noise + v_canary.n_clean as n,
    v_canary.canary,
    v_canary.model
from v_canary
join stage_run
    on stage_run.stage = 'canary'
    and stage_run.run = v_canary.run
    and stage_run.batch = v_canary.batch
where v_canary.noise is null
order by stage_run.committed_at desc, v_canary.run, v_canary.batch
