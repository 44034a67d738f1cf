-- How far have numbers moved since the last green run?
-- reads gate, measurement, baseline; returns a row a comparison, as a measurement of its own
select
    gate.gate,
    gate.measure,
    measurement.slice,
    measurement.series,
    case gate.compared
        when 'ratio' then measurement.metric / nullif(baseline.metric, 0)
        when 'difference' then measurement.metric - baseline.metric
        else (measurement.metric - baseline.metric) / nullif(baseline.spread, 0)
    end as metric,
    least(measurement.n, baseline.n) as n
from gate
join measurement
    on measurement.gate = gate.gate
    and measurement.measure = gate.of_measure
join baseline
    on baseline.gate = measurement.gate
    and baseline.measure = measurement.measure
    and baseline.series = measurement.series
where gate.compared is not null
