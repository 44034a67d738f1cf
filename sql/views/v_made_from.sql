-- What is each model, selection and run made from, one step back?
-- reads version, model, lesson, selection, caption, score, sample; returns a row a thing and what it is made from
create or replace view v_made_from as
with

wrote as (
    select distinct
        run,
        split_part(model, '#', 1) as model
    from caption
    where model is not null
),

judged as (
    select distinct
        run,
        split_part(model, '#', 1) as model
    from score
),

addresses as (
    select
        batch,
        count(*) as n
    from sample
    group by all
),

final as (
    select
        'version' as kind,
        uri as name,
        'model' as of_kind,
        checkpoint as made_from
    from version
    union all
    select
        'model' as kind,
        model as name,
        'model' as of_kind,
        taught as made_from
    from lesson
    where depth = 1
    union all
    select
        'model' as kind,
        model as name,
        'selection' as of_kind,
        selection as made_from
    from lesson
    where depth = 0
    union all
    select
        'selection' as kind,
        id as name,
        'texts' as of_kind,
        unnest(caption_runs) as made_from
    from selection
    union all
    select
        'selection' as kind,
        id as name,
        'scores' as of_kind,
        unnest(list_filter([score_run, rbm_run, rerank_run], lambda run: run <> '')) as made_from
    from selection
    union all
    select
        'selection' as kind,
        id as name,
        'batch' as of_kind,
        unnest(batches) as made_from
    from selection
    union all
    select
        'texts' as kind,
        run as name,
        'model' as of_kind,
        model as made_from
    from wrote
    union all
    select
        'scores' as kind,
        judged.run as name,
        'model' as of_kind,
        coalesce(model.uri, judged.model) as made_from
    from judged
    left join model
        on model.run = judged.model
    union all
    select
        'batch' as kind,
        batch as name,
        'addresses' as of_kind,
        n::varchar as made_from
    from addresses
)

select distinct * from final
