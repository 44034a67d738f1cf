-- Which captions has a model learnt from, who wrote and judged each, and at which address is its picture?
-- reads version, model, lesson, selection, sample_final, caption, score; a macro over a model; returns a row a caption
-- a model is models:/<name>/<version>, models:/<name>@champion, checkpoints/<run>/<step>, rbms/<run>, or the first
-- eight or more digits of its weights' sha256; depth 1 and more are the models it was started from
create or replace macro lineage(wanted) as table (
    with

    meant as (
        select
            model.uri as model,
            max(version.uri) as version
        from model
        left join version
            on version.checkpoint = model.uri
        where
            model.uri = split_part(wanted, '#', 1)
            or version.uri in (wanted, 'models:/' || wanted)
            or 'models:/' || version.name || '@' || version.alias in (wanted, 'models:/' || wanted)
            or (length(wanted) >= 8 and starts_with(model.weights, wanted))
        group by model.uri
    ),

    -- A run of a stage has one model.
    written as (
        select
            run,
            any_value(model) as "by"
        from caption
        group by run
    ),

    judged as (
        select
            run,
            any_value(model) as "by"
        from score
        group by run
    ),

    taught as (
        select
            meant.version,
            meant.model,
            lesson.depth,
            lesson.taught,
            lesson.selection
        from meant
        join lesson using (model)
    )

    select
        taught.version,
        taught.model,
        taught.depth,
        taught.taught,
        taught.selection,
        selection.digest,
        learnt.batch,
        learnt.shard,
        'web/' || learnt.batch || '/' || learnt.shard || '.tar' as tar,
        learnt.key,
        learnt.caption_id,
        learnt.source,
        learnt.text,
        learnt.run as written_in,
        written."by" as written_by,
        judged."by" as judged_by,
        learnt.itm_probability,
        learnt.page_url,
        learnt.url
    from taught
    left join selection
        on selection.id = taught.selection
    left join (from sample_final where kept) as learnt
        on learnt.selection = taught.selection
    left join written
        on written.run = learnt.run
    left join judged
        on judged.run = selection.score_run
    order by depth, selection, batch, shard, key, caption_id
)
