-- Which runs were green when their gates were last measured?
-- reads gate_check; returns a row a green run other than $run, with its last check
-- green: no gate failed; an override lets a run go on and does not make it green
with

last as (
    from gate_check
    where run <> $run
    qualify row_number() over (partition by run order by checked_at desc, id desc) = 1
)

select
    id as check_id,
    run,
    checked_at
from last
where is_green
