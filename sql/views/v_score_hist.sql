-- How are the scores of web and synthetic texts distributed?
-- reads sample_final; returns a row a selection, source, signal and bin, forty bins a signal
create or replace view v_score_hist as
with

-- The RBM's scores have tails; beyond the outer percentiles all goes into the last bin.
outer_values as (
    select
        selection,
        quantile_cont(itc_cosine::double, [0.002, 0.998]) filter (isfinite(itc_cosine)) as itc_cosine,
        quantile_cont(rbm_pmi::double, [0.002, 0.998]) filter (isfinite(rbm_pmi)) as rbm_pmi
    from sample_final
    group by selection
),

span as (
    select
        selection,
        unnest(['itm_probability', 'itc_cosine', 'rbm_pmi']) as signal,
        unnest([0, itc_cosine[1], rbm_pmi[1]]) as low,
        unnest([1, itc_cosine[2], rbm_pmi[2]]) as high
    from outer_values
),

counted as (
    -- One pass a signal: the three below each other would be three million rows.
    select
        selection,
        source,
        'itm_probability' as signal,
        least(greatest(floor(itm_probability::double * 40), 0), 39) as bin,
        count(*) as n
    from sample_final
    where isfinite(itm_probability)
    group by all
    union all
    select
        sample_final.selection,
        source,
        'itc_cosine' as signal,
        least(greatest(floor((sample_final.itc_cosine::double - low) / nullif(high - low, 0) * 40), 0), 39) as bin,
        count(*) as n
    from sample_final
    join span
        on span.selection = sample_final.selection
        and span.signal = 'itc_cosine'
    where isfinite(sample_final.itc_cosine)
    group by all
    union all
    select
        sample_final.selection,
        source,
        'rbm_pmi' as signal,
        least(greatest(floor((sample_final.rbm_pmi::double - low) / nullif(high - low, 0) * 40), 0), 39) as bin,
        count(*) as n
    from sample_final
    join span
        on span.selection = sample_final.selection
        and span.signal = 'rbm_pmi'
    where isfinite(sample_final.rbm_pmi)
    group by all
)

select
    selection,
    source,
    signal,
    coalesce(bin, 0)::int as bin,
    low + coalesce(bin, 0) * (high - low) / 40 as bin_start,
    low + (coalesce(bin, 0) + 1) * (high - low) / 40 as bin_end,
    n
from counted
join span using (selection, signal)
order by selection, source, signal, bin
