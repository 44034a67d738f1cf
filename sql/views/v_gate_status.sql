-- Which gates are red, by how much, and who has taken it on?
-- reads gate_result; returns a row a gate, measure and slice, the worst first
create or replace view v_gate_status as
select
    gate,
    measure,
    title,
    slice,
    status,
    metric,
    n,
    warn_low,
    fail_low,
    warn_high,
    fail_high,
    override_by,
    override_why,
    override_at,
    why,
    checked_at
from gate_result
order by
    list_position(['fail', 'warn', 'pass', 'not measured'], status),
    regexp_extract(gate, '\d+')::int,
    measure,
    slice
