-- How is every signal distributed, in every batch and run?
-- reads v_signal_long; returns a row a run, batch, source and signal: n, NaNs, mean, deviation, deciles
create or replace view signal_profile as
select
    run,
    batch,
    source,
    signal,
    count(*) as n,
    count(*) filter (isnan(value)) as n_nan,
    avg(value) filter (isfinite(value)) as mean,
    stddev(value) filter (isfinite(value)) as deviation,
    quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        filter (isfinite(value)) as deciles
from v_signal_long
group by run, batch, source, signal
order by run, batch, source, signal
