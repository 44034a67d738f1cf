-- How far has each signal, and the mix of languages, moved since the last green run?
-- reads gate_result; returns the measurements of gates G11 and G12, the largest first
-- above 0.1 look, above 0.25 (0.3 of languages) the source has changed
select
    case gate when 'G12' then 'languages of ' || slice else slice end as signal,
    case gate when 'G11' then 'stability index' else 'total variation' end as measure,
    metric as moved,
    n,
    status
from gate_result
where gate in ('G11', 'G12') and metric is not null
order by moved desc, signal
