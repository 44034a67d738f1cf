-- How did the losses of each training run fall?
-- reads training, model, selection; returns a row a run (counted by nth), loss and step, at most two hundred steps a curve
-- a run is labelled by what it learnt from; two that learnt from the same by their names too
with

taught as (
    select
        run,
        string_agg(distinct selection.policy, ' + ' order by selection.policy) as policies
    from (
        select
            run,
            unnest(selections) as id
        from model
    )
    join selection using (id)
    group by run
),

named as (
    select
        run,
        regexp_replace(run, '-[0-9a-f]{12}$', '') || coalesce(' on ' || policies, '') as label
    from (select distinct run from training)
    left join taught using (run)
),

labelled as (
    select
        run,
        case
            when count(*) over (partition by label) = 1 then label
            else label || ', ' || run
        end as label
    from named
),

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
    label,
    name,
    step,
    value,
    nth
from numbered
join labelled using (run)
where place = points or (place - 1) % ceil(points / 200) = 0
order by name, run, step
