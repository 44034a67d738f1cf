-- What does a thousand selected texts cost, and how fast is each stage?
-- reads stage_run, selection, concerned_selection, current_run; returns measure, slice, series, metric, n
-- cost is seconds of work: fetching, captioning, scoring and choosing; $budget_s is what a plan allows
-- for a thousand, 0 for no budget; a stage of less than ten seconds says nothing of its pace
with

judged as (
    select
        selection.*
    from selection
    join concerned_selection on concerned_selection.selection = selection.id
    where selection.score_run <> '' and selection.selected > 0
),

spent as (
    select
        judged.id as slice,
        judged.policy as series,
        any_value(judged.selected) as n,
        sum(stage_run.seconds) as seconds
    from judged
    join stage_run
        on list_contains(judged.batches, stage_run.batch)
        and (
            stage_run.stage in ('ingestion', 'duplicates')
            or (stage_run.stage = 'captioning' and list_contains(judged.caption_runs, stage_run.run))
            or (stage_run.stage = 'scoring' and stage_run.run = judged.score_run)
            or (stage_run.stage = 'rbm' and stage_run.run = judged.rbm_run)
            or (stage_run.stage = 'selection' and stage_run.run = judged.id)
        )
    group by all
),

paces as (
    select
        stage_run.stage || ' ' || stage_run.run || ' on ' || stage_run.batch as slice,
        stage_run.stage as series,
        sum(stage_run.n_in) / sum(stage_run.seconds) as metric,
        sum(stage_run.n_in)::bigint as n
    from stage_run
    join current_run using (stage, run, batch)
    group by stage_run.stage, stage_run.run, stage_run.batch
    having sum(stage_run.seconds) >= 10
)

select
    'seconds' as measure,
    slice,
    series,
    seconds / n * 1000 as metric,
    n
from spent
union all
select
    'cost' as measure,
    slice,
    series,
    seconds / n * 1000 / $budget_s as metric,
    n
from spent
where $budget_s > 0
union all
select
    'pace' as measure,
    *
from paces
