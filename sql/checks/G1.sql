-- Does every shard of every stage account for every row it was given?
-- reads planned, sample, caption, score, selected, decision, stage_run, concerned_batch; returns measure, slice, metric, n
-- in = out + dropped + failed; a shard that is off has a row of its own, so that it can be redone
with

planned_rows as (
    select batch, shard, count(*) as n from planned group by all
),

attempted as (
    select batch, shard, count(*) as n from sample group by all
),

ingested as (
    select
        'ingestion' as slice,
        stage_run.batch,
        stage_run.shard,
        abs(planned_rows.n - coalesce(attempted.n, 0)) as off_by,
        planned_rows.n
    from stage_run
    join planned_rows using (batch, shard)
    left join attempted using (batch, shard)
    where stage_run.stage = 'ingestion'
),

written as (
    select run, batch, shard, count(*) as n from caption group by all
),

captioned as (
    select
        'captioning ' || stage_run.run as slice,
        stage_run.batch,
        stage_run.shard,
        abs(stage_run.n_out - coalesce(written.n, 0)) as off_by,
        stage_run.n_out as n
    from stage_run
    left join written using (run, batch, shard)
    where stage_run.stage = 'captioning'
),

judged as (
    select run, batch, shard, count(*) as n from score group by all
),

scored as (
    select
        stage_run.stage || ' ' || stage_run.run as slice,
        stage_run.batch,
        stage_run.shard,
        abs(stage_run.n_out - coalesce(judged.n, 0)) as off_by,
        stage_run.n_out as n
    from stage_run
    left join judged using (run, batch, shard)
    where stage_run.stage in ('scoring', 'rbm')
),

kept as (
    select selection as run, batch, shard, count(*) as n from selected group by all
),

dropped as (
    select
        selection as run,
        batch,
        shard,
        count(distinct caption_id) as n
    from decision
    where verdict = 'drop'
    group by all
),

chosen as (
    select
        'selection ' || stage_run.run as slice,
        stage_run.batch,
        stage_run.shard,
        abs(stage_run.n_in - coalesce(kept.n, 0) - coalesce(dropped.n, 0)) as off_by,
        stage_run.n_in as n
    from stage_run
    left join kept using (run, batch, shard)
    left join dropped using (run, batch, shard)
    where stage_run.stage = 'selection'
),

final as (
    select * from ingested
    union all
    select * from captioned
    union all
    select * from scored
    union all
    select * from chosen
)

select
    'rows' as measure,
    case when off_by > 0 then slice || ', shard ' || batch || '/' || shard else slice end as slice,
    sum(off_by) as metric,
    sum(n) as n
from final
where batch in (select batch from concerned_batch)
group by all
