-- What of a check is written down?
-- reads measurement, gate_result; returns every measurement with its verdict, none for what only a later run is held against
select
    measurement.gate,
    measurement.measure,
    measurement.slice,
    measurement.series,
    measurement.metric,
    measurement.n,
    measurement.spread,
    gate_result.status
from measurement
left join gate_result using (gate, measure, slice)
order by measurement.gate, measurement.measure, measurement.slice
