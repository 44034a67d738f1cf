-- Which gates are red, and by how much?
-- reads gate_result; returns a row a gate and slice, the worst first
create or replace view v_gate_status as
select
    gate,
    title,
    slice,
    status,
    metric,
    n,
    warn_low,
    fail_low,
    warn_high,
    fail_high,
    why,
    checked_at
from gate_result
order by
    list_position(['fail', 'warn', 'pass', 'not measured'], status),
    regexp_extract(gate, '\d+')::int,
    slice
