-- How many models, versions of a rule, or versions of settings and libraries had a part in one run?
-- reads caption, score, decision, stage_run, current_run, concerned_selection; returns measure, slice, metric, n
with

models as (
    select
        caption.run || ' on ' || caption.batch as slice,
        count(distinct caption.model) as metric,
        count(*) as n
    from caption
    join current_run
        on current_run.stage = 'captioning'
        and current_run.run = caption.run
        and current_run.batch = caption.batch
    where caption.source = 'synthetic'
    group by all
    union all
    select
        score.run || ' on ' || score.batch as slice,
        count(distinct score.model) as metric,
        count(*) as n
    from score
    join current_run
        on current_run.stage in ('scoring', 'rbm')
        and current_run.run = score.run
        and current_run.batch = score.batch
    group by all
),

versions_of_rules as (
    select
        decision.selection,
        decision.rule,
        count(distinct decision.version) as versions,
        count(*) as n
    from decision
    join concerned_selection using (selection)
    group by all
)

select
    'models' as measure,
    *
from models
union all
select
    'rules' as measure,
    selection as slice,
    max(versions) as metric,
    sum(n) as n
from versions_of_rules
group by selection
union all
select
    'signals' as measure,
    stage_run.stage || ' ' || stage_run.run || ' on ' || stage_run.batch as slice,
    count(distinct stage_run.versions) as metric,
    count(*) as n
from stage_run
join current_run using (stage, run, batch)
group by all
