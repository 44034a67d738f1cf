-- How many pictures get how far, from planned candidate to training?
-- reads v_funnel; returns a row a step, over all batches of the selection $selection
with

summed as (
    select
        step,
        label,
        sum(n)::bigint as n
    from v_funnel
    where selection = $selection
    group by all
)

select
    step,
    label,
    n,
    n / nullif(lag(n) over (order by step), 0) as yield,
    n / nullif(first_value(n) over (order by step), 0) as total_yield
from summed
order by step
