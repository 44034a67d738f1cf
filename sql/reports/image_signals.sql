-- How are sharpness, detail, light and size of the kept pictures distributed?
-- reads sample; returns a row a signal and bin: twenty-four bins between the outer percentiles
with

long as (
    unpivot (
        select
            log10(greatest(lap_var::double, 1)) as sharpness,
            entropy::double as entropy,
            bright_p50::double as brightness,
            least(original_width, original_height)::double as short_side
        from sample
        where outcome = 'kept'
    )
    on sharpness, entropy, brightness, short_side
    into name signal value value
),

span as (
    select
        signal,
        quantile_cont(value, 0.002) as first,
        -- One value for all still has a bin to stand in: a pixel, or a hundredth.
        greatest(
            quantile_cont(value, 0.998),
            quantile_cont(value, 0.002) + case signal when 'short_side' then 24 else 0.24 end
        ) as last
    from long
    where isfinite(value)
    group by signal
),

binned as (
    select
        signal,
        first,
        (last - first) / 24 as width,
        least(greatest(floor((value - first) / (last - first) * 24), 0), 23)::int as bin
    from long
    join span using (signal)
    where isfinite(value)
)

select
    signal,
    first + bin * width as low,
    first + (bin + 1) * width as high,
    count(*) as n,
    count(*) / sum(count(*)) over (partition by signal) as share
from binned
group by signal, bin, first, width
order by signal, bin
