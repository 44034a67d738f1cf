-- What is a selection made of, and which models were trained on it?
-- reads selection, stage_run, model; a macro over a selection id; returns kind, name and what is said of it
create or replace macro lineage(wanted) as table (
    with

    chosen as (
        from selection where id = wanted
    ),

    made_by as (
        select distinct
            stage_run.stage as kind,
            stage_run.run as name,
            stage_run.versions::varchar as about
        from stage_run
        join chosen
            on list_contains(chosen.batches, stage_run.batch)
            and (
                stage_run.run in ('ingestion', chosen.score_run, chosen.rbm_run)
                or list_contains(chosen.caption_runs, stage_run.run)
            )
    ),

    trained as (
        select
            'model' as kind,
            model.uri as name,
            model.facts::varchar as about
        from model
        where list_contains(model.selections, wanted)
    ),

    final as (
        select
            'selection' as kind,
            id as name,
            digest as about
        from chosen
        union all
        select * from made_by
        union all
        select * from trained
    )

    select * from final
    order by kind, name
)
