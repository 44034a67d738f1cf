-- How well did the filters of earlier runs tell right texts from wrong ones?
-- reads gate_history, gate_check; returns the AUC and recall that each run's last check measured, the newest first
with

last as (
    from gate_check
    qualify row_number() over (partition by run order by checked_at desc, id desc) = 1
)

select
    last.run,
    last.checked_at,
    gate_history.slice as selection,
    max(gate_history.metric) filter (gate_history.measure = 'auc') as auc,
    max(gate_history.metric) filter (gate_history.measure = 'recall') as noise_recall,
    max(gate_history.n) filter (gate_history.measure = 'auc') as n
from last
join gate_history on gate_history.check_id = last.id
where gate_history.gate = 'G13' and gate_history.measure in ('auc', 'recall')
group by all
order by last.checked_at desc, last.run, gate_history.slice
