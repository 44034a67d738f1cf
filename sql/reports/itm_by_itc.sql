-- Do the matching head and the embeddings agree?
-- reads sample_final; returns a row a cell of a twenty by twenty grid over ITC cosine and ITM probability
with

scored as (
    select
        itc_cosine::double as itc,
        itm_probability::double as itm
    from sample_final
    where selection = $selection and isfinite(itc_cosine) and isfinite(itm_probability)
),

span as (
    select
        quantile_cont(itc, 0.002) as first,
        greatest(quantile_cont(itc, 0.998), quantile_cont(itc, 0.002) + 1e-6) as last
    from scored
),

placed as (
    select
        least(greatest(floor((itc - first) / (last - first) * 20), 0), 19)::int as across,
        least(floor(itm * 20), 19)::int as up,
        first,
        (last - first) / 20 as width
    from scored
    cross join span
)

select
    first + across * width as itc_low,
    first + (across + 1) * width as itc_high,
    up / 20 as itm_low,
    (up + 1) / 20 as itm_high,
    count(*) as n
from placed
group by across, up, first, width
order by across, up
