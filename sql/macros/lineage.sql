-- Which captions has a model learnt from, who wrote and judged each, and at which address is its picture?
-- reads version, model, lesson, selection, selected, caption, sample, score; a macro over a model; returns a row a caption
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
        selected.batch,
        selected.shard,
        'web/' || selected.batch || '/' || selected.shard || '.tar' as tar,
        selected.key,
        selected.caption_id,
        selected.source,
        selected.text,
        caption.run as written_in,
        caption.model as written_by,
        score.model as judged_by,
        score.itm_probability,
        sample.page_url,
        sample.url
    from taught
    left join selection
        on selection.id = taught.selection
    left join selected
        on selected.selection = taught.selection
    left join caption
        on caption.batch = selected.batch
        and caption.caption_id = selected.caption_id
    left join sample
        on sample.batch = selected.batch
        and sample.key = selected.key
    left join score
        on score.run = selection.score_run
        and score.batch = selected.batch
        and score.caption_id = selected.caption_id
    order by taught.model, taught.depth, taught.selection, selected.batch, selected.shard, selected.key, selected.caption_id
)
