-- Is every measured number within the limits of its gate?
-- reads gate, measurement; returns a row a gate and slice; a gate without a measurement has one row
with

judged as (
    select
        gate.gate,
        gate.title,
        coalesce(measurement.slice, '') as slice,
        measurement.metric,
        measurement.n,
        gate.warn_low,
        gate.fail_low,
        gate.warn_high,
        gate.fail_high,
        gate.why,
        metric <= fail_low or metric > fail_high as fails,
        metric < warn_low or metric > warn_high as warns,
        measurement.n >= gate.min_n as is_enough
    from gate
    left join measurement using (gate)
),

final as (
    select
        gate,
        title,
        slice,
        metric,
        n,
        warn_low,
        fail_low,
        warn_high,
        fail_high,
        case
            when metric is null then 'not measured'
            when coalesce(fails, false) and is_enough then 'fail'
            when coalesce(fails, false) or coalesce(warns, false) then 'warn'
            else 'pass'
        end as status,
        why,
        current_timestamp::timestamptz as checked_at
    from judged
)

select * from final
