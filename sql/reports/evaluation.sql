-- What is each evaluated model worth beside chance and the nearest neighbour's caption?
-- reads evaluation, selection; returns a row a score and model or baseline, with its 95 % interval
-- a baseline does not depend on the model: it is listed once a batch
with

named as (
    select
        evaluation.score,
        evaluation.baseline,
        evaluation.batch,
        evaluation.images,
        case
            when evaluation.baseline is not null then evaluation.baseline
            else regexp_extract(evaluation.model, '([^/]+?)(-[0-9a-f]{12})?/[0-9]+', 1)
        end as name,
        evaluation.run,
        evaluation.model,
        evaluation.trained_on,
        (
            select string_agg(distinct selection.policy, ' + ' order by selection.policy)
            from selection
            where list_contains(evaluation.trained_on, selection.id)
        ) as policies,
        evaluation.value,
        evaluation.low,
        evaluation.high
    from evaluation
),

labelled as (
    select
        score,
        case
            when baseline is not null then name
            else coalesce(nullif(name, ''), model) || coalesce(' on ' || policies, '')
        end as label,
        baseline,
        batch,
        images,
        case when baseline is null then run end as run,
        case when baseline is null then trained_on end as trained_on,
        any_value(value) as value,
        any_value(low) as low,
        any_value(high) as high
    from named
    group by all
)

select *
from labelled
order by score, baseline nulls last, label, run, batch
