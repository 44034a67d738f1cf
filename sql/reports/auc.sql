-- How often does a right web caption score above a wrong one, for each signal?
-- reads v_labelled, score; returns a row a signal of the selection $selection, with the PMI of $rbm_run; 0.5 is chance, ties count half
with

labelled as (
    select
        v_labelled.is_noise,
        v_labelled.itm_probability::double as itm_probability,
        v_labelled.itc_cosine::double as itc_cosine,
        score.rbm_pmi::double as rbm_pmi,
        score.gaussian_pmi::double as gaussian_pmi
    from v_labelled
    left join score
        on score.run = $rbm_run
        and score.batch = v_labelled.batch
        and score.caption_id = v_labelled.caption_id
    where v_labelled.selection = $selection and not v_labelled.is_duplicate
),

long as (
    unpivot labelled
    on itm_probability, itc_cosine, rbm_pmi, gaussian_pmi
    into name signal value value
),

-- The mean rank of ties: rank() is the lowest of them.
ranked as (
    select
        signal,
        is_noise,
        rank() over (partition by signal order by value)
        + (count(*) over (partition by signal, value) - 1) / 2 as mean_rank
    from long
    where isfinite(value)
),

summed as (
    select
        signal,
        count(*) filter (not is_noise) as n_clean,
        count(*) filter (is_noise) as n_noise,
        sum(mean_rank) filter (not is_noise) as rank_sum
    from ranked
    group by all
)

select
    signal,
    (rank_sum - n_clean * (n_clean + 1) / 2) / nullif(n_clean * n_noise, 0) as auc,
    n_clean,
    n_noise
from summed
order by auc desc nulls last, signal
