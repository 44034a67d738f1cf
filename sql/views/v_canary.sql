-- How well did each capfilt job's filter tell right texts from wrong ones that are known beforehand?
-- reads canary; returns a row a run, batch and kind of noise, and one for all (noise null)
-- below 0.5 a text is called noise; the AUC is that of right texts against those of the kind, ties count half
create or replace view v_canary as
with

-- Right texts are compared with every kind, and with all of them.
kinds as (
    select distinct run, batch, noise as kind from canary where is_noise
    union all
    select distinct run, batch, null as kind from canary
),

compared as (
    select
        canary.run,
        canary.batch,
        canary.canary,
        canary.model,
        kinds.kind,
        canary.is_noise,
        coalesce(canary.itm_probability < 0.5, false) as is_called,
        rank() over (ranked order by canary.itm_probability)
        + (count(*) over (same) - 1) / 2 as mean_rank
    from canary
    join kinds
        on kinds.run = canary.run
        and kinds.batch = canary.batch
        and (not canary.is_noise or kinds.kind is null or kinds.kind = canary.noise)
    window
        ranked as (partition by canary.run, canary.batch, kinds.kind),
        same as (partition by canary.run, canary.batch, kinds.kind, canary.itm_probability)
),

counted as (
    select
        run,
        batch,
        kind,
        any_value(canary) as canary,
        any_value(model) as model,
        count(*) filter (is_noise) as n_noise,
        count(*) filter (not is_noise) as n_clean,
        count(*) filter (is_noise and is_called) as noise_found,
        count(*) filter (not is_noise and is_called) as clean_called,
        sum(mean_rank) filter (not is_noise) as rank_sum
    from compared
    group by run, batch, kind
)

select
    run,
    batch,
    kind as noise,
    canary,
    model,
    n_noise,
    n_clean,
    noise_found / nullif(noise_found + clean_called, 0) as noise_precision,
    noise_found / nullif(n_noise, 0) as noise_recall,
    1 - clean_called / nullif(n_clean, 0) as clean_kept_rate,
    (rank_sum - n_clean * (n_clean + 1) / 2) / nullif(n_clean * n_noise, 0) as auc
from counted
order by run, batch, kind nulls first
