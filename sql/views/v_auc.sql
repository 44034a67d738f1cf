-- How often does a clean web caption score above a noisy one, for each signal?
-- reads v_labelled; returns a row a selection and signal; 0.5 is chance, ties count half
create or replace view v_auc as
with

long as (
    unpivot (
        select
            selection,
            is_noise,
            itm_probability::double as itm_probability,
            itc_cosine::double as itc_cosine,
            rbm_pmi::double as rbm_pmi
        from v_labelled
        where not is_duplicate
    )
    on itm_probability, itc_cosine, rbm_pmi
    into name signal value value
),

-- The mean rank of ties: rank() is the lowest of them.
ranked as (
    select
        selection,
        signal,
        is_noise,
        rank() over (partition by selection, signal order by value)
        + (count(*) over (partition by selection, signal, value) - 1) / 2 as mean_rank
    from long
    where not isnan(value)
),

summed as (
    select
        selection,
        signal,
        count(*) filter (not is_noise) as n_clean,
        count(*) filter (is_noise) as n_noise,
        sum(mean_rank) filter (not is_noise) as rank_sum
    from ranked
    group by all
)

select
    selection,
    signal,
    n_clean,
    n_noise,
    (rank_sum - n_clean * (n_clean + 1) / 2) / nullif(n_clean * n_noise, 0) as auc
from summed
order by selection, signal
