-- How are the scores of web and synthetic texts distributed?
-- reads sample_final; returns a row a selection, source, signal and bin, forty bins a signal
create or replace view v_score_hist as
with

long as (
    unpivot (
        select
            selection,
            source,
            itm_probability::double as itm_probability,
            itc_cosine::double as itc_cosine,
            rbm_pmi::double as rbm_pmi
        from sample_final
    )
    on itm_probability, itc_cosine, rbm_pmi
    into name signal value value
),

sound as (
    from long
    where not isnan(value)
),

-- The RBM's scores have tails; beyond the outer percentiles all goes into the last bin.
span as (
    select
        selection,
        signal,
        quantile_cont(value, [0.002, 0.998])[1] as low,
        quantile_cont(value, [0.002, 0.998])[2] as high
    from sound
    where signal <> 'itm_probability'
    group by selection, signal
    union all
    select distinct
        selection,
        'itm_probability' as signal,
        0 as low,
        1 as high
    from sound
),

binned as (
    select
        selection,
        source,
        signal,
        low,
        (high - low) / 40 as width,
        coalesce(
            least(greatest(floor((value - low) / nullif(high - low, 0) * 40), 0), 39), 0
        )::int as bin
    from sound
    join span using (selection, signal)
)

select
    selection,
    source,
    signal,
    bin,
    low + bin * width as bin_start,
    low + (bin + 1) * width as bin_end,
    count(*) as n
from binned
group by selection, source, signal, bin, low, width
order by selection, source, signal, bin
