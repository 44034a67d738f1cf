-- How many models wrote or judged within one run, and how many versions has a rule in a selection?
-- reads caption, score, decision; returns slice, metric, n
with

versions_of_rules as (
    select
        selection,
        rule,
        count(distinct version) as versions,
        count(*) as n
    from decision
    group by all
)

select
    run as slice,
    count(distinct model) as metric,
    count(*) as n
from caption
where source = 'synthetic'
group by run
union all
select
    run as slice,
    count(distinct model) as metric,
    count(*) as n
from score
group by run
union all
select
    selection as slice,
    max(versions) as metric,
    sum(n) as n
from versions_of_rules
group by selection
