-- How much does a text say about its picture, under the RBM and under a full Gaussian?
-- reads score, sample_final; returns a row a signal, source and bin for the scores of $rbm_run, forty bins between the outer percentiles
with

long as (
    unpivot (
        select
            sample_final.source,
            score.rbm_pmi::double as rbm_pmi,
            score.gaussian_pmi::double as gaussian_pmi
        from sample_final
        join score
            on score.run = $rbm_run
            and score.batch = sample_final.batch
            and score.caption_id = sample_final.caption_id
        where sample_final.selection = $selection
    )
    on rbm_pmi, gaussian_pmi
    into name signal value value
),

span as (
    select
        signal,
        quantile_cont(value, 0.002) as first,
        greatest(quantile_cont(value, 0.998), quantile_cont(value, 0.002) + 1e-6) as last
    from long
    where isfinite(value)
    group by all
),

binned as (
    select
        signal,
        source,
        first,
        (last - first) / 40 as width,
        least(greatest(floor((value - first) / (last - first) * 40), 0), 39)::int as bin
    from long
    join span using (signal)
    where isfinite(value)
)

select
    signal,
    source,
    first + bin * width as low,
    first + (bin + 1) * width as high,
    count(*) as n,
    count(*) / sum(count(*)) over (partition by signal, source) as share
from binned
group by signal, source, bin, first, width
order by signal, source, bin
