-- What did the last green run that measured it find, for each series of numbers?
-- reads gate_history, green_run; returns a row a gate, measure and series
select
    gate_history.gate,
    gate_history.measure,
    gate_history.series,
    gate_history.slice,
    gate_history.metric,
    gate_history.spread,
    gate_history.n,
    green_run.run,
    green_run.checked_at
from gate_history
join green_run using (check_id)
where gate_history.series is not null and gate_history.metric is not null
qualify
    row_number() over (
        partition by gate_history.gate, gate_history.measure, gate_history.series
        order by green_run.checked_at desc, gate_history.n desc, gate_history.slice
    ) = 1
