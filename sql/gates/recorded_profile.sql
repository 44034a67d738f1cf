-- Which profile of the signals is written down?
-- reads gate_profile; returns its rows, in order
select
    batch,
    source,
    signal,
    model,
    n,
    mean,
    std,
    p99,
    edges,
    counts,
    labels
from gate_profile
order by batch, source, signal, model
