-- Does every shard of every stage account for every row it was given?
-- reads planned, sample, caption, score, selected, decision, stage_run; returns slice, metric, n
-- the metric counts rows that are missing or too many, added over the shards of a stage and run
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

judged as (
    select run, batch, shard, count(*) as n from score group by all
),

captioned as (
    select
        'captioning ' || stage_run.run as slice,
        abs(stage_run.n_out - coalesce(written.n, 0)) as off_by,
        stage_run.n_out as n
    from stage_run
    left join written using (run, batch, shard)
    where stage_run.stage = 'captioning'
),

scored as (
    select
        'scoring ' || stage_run.run as slice,
        abs(stage_run.n_out - coalesce(judged.n, 0)) as off_by,
        stage_run.n_out as n
    from stage_run
    left join judged using (run, batch, shard)
    where stage_run.stage = 'scoring'
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
    slice,
    sum(off_by) as metric,
    sum(n) as n
from final
group by slice
