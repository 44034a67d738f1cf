-- Who has let a run go on although a gate failed, when and why?
-- reads gate_override; returns its rows, the newest first
select
    gate,
    who,
    why,
    recorded_at,
    has_failed,
    run
from gate_override
order by recorded_at desc, gate, run
