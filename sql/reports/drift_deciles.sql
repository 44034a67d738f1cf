-- Between which values did the signals that moved most lie in the last green run, and do they lie now?
-- reads gate_result, gate_profile, baseline_profile; returns nine deciles, then and now, of the five signals that moved most
with

moved as (
    select
        slice,
        row_number() over (order by metric desc, slice)::varchar as place
    from gate_result
    where gate = 'G11' and metric > 0
    qualify row_number() over (order by metric desc, slice) <= 5
),

compared as (
    select
        moved.place,
        now.signal || ' of ' || now.source as signal,
        now.batch as batch_now,
        before.batch as batch_before,
        now.edges as edges_now,
        before.edges as edges_before
    from gate_profile as now
    join baseline_profile as before using (source, signal, model)
    join moved
        on moved.slice
        = now.signal || ' of ' || now.source || ' in ' || now.batch || ', against ' || before.batch
),

final as (
    select
        place,
        signal,
        'now: ' || batch_now as run,
        unnest(range(10, 100, 10)) as share,
        unnest(edges_now) as value
    from compared
    union all
    select
        place,
        signal,
        'last green run: ' || batch_before as run,
        unnest(range(10, 100, 10)) as share,
        unnest(edges_before) as value
    from compared
)

select * from final
order by place, run, share
