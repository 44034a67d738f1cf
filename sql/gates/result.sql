-- Is every measured number within the limits of its gate?
-- reads gate, measurement, gate_check, gate_override; returns a row a gate, measure and slice
-- a measure that nothing was measured for has one row; an override leaves the verdict as it is, and says who took it on
with

judged as (
    select
        gate.*,
        coalesce(measurement.slice, '') as slice,
        measurement.metric,
        measurement.n,
        isnan(metric) or metric < fail_low or metric > fail_high as fails,
        metric < warn_low or metric > warn_high as warns,
        measurement.n >= gate.min_n as is_enough
    from gate
    left join measurement using (gate, measure)
),

taken_on as (
    select
        gate,
        who,
        why,
        recorded_at
    from gate_override
    where check_id = (select arg_max(id, checked_at) from gate_check where run = $run)
),

final as (
    select
        judged.gate,
        judged.measure,
        judged.title,
        judged.slice,
        judged.metric,
        judged.n,
        judged.warn_low,
        judged.fail_low,
        judged.warn_high,
        judged.fail_high,
        case
            when judged.metric is null then 'not measured'
            when coalesce(judged.fails, false) and judged.is_enough then 'fail'
            when coalesce(judged.fails, false) or coalesce(judged.warns, false) then 'warn'
            else 'pass'
        end as status,
        judged.why,
        taken_on.who as override_by,
        taken_on.why as override_why,
        taken_on.recorded_at as override_at,
        current_timestamp::timestamptz as checked_at
    from judged
    left join taken_on using (gate)
)

select * replace (
    case when status = 'fail' then override_by end as override_by,
    case when status = 'fail' then override_why end as override_why,
    case when status = 'fail' then override_at end as override_at
)
from final
