-- How did the losses of each training run fall?
-- reads training; returns a row a run (counted by nth), loss and step, at most two hundred steps a curve
with

numbered as (
    select
        run,
        name,
        step,
        value,
        dense_rank() over (order by run) - 1 as nth,
        row_number() over each_curve as place,
        count(*) over (partition by run, name) as points
    from training
    where name in ('loss', 'itc', 'itm', 'lm') and isfinite(value)
    window each_curve as (partition by run, name order by step)
)

select
    run,
    name,
    step,
    value,
    nth
from numbered
where place = points or (place - 1) % ceil(points / 200) = 0
order by name, run, step
