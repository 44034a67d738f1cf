-- Which models, selections, runs and batches does a model or a selection stand on?
-- reads v_made_from, version; a macro over models:/<name>/<version>, a checkpoint or a selection; returns a row a step back
-- a filter's own selection leads on to the model it was started from, and so to the first crawl
create or replace macro ancestry(wanted) as table (
    with recursive

    walked as (
        select
            0 as depth,
            kind,
            name,
            of_kind,
            made_from
        from v_made_from
        where name in (
            wanted,
            (
                select max(uri)
                from version
                where 'models:/' || name || '@' || alias = wanted
            )
        )
        union
        select
            walked.depth + 1 as depth,
            further.kind,
            further.name,
            further.of_kind,
            further.made_from
        from walked
        join v_made_from as further
            on further.kind = walked.of_kind
            and further.name = walked.made_from
        where walked.depth < 64
    )

    select
        min(depth) as depth,
        kind,
        name,
        of_kind,
        made_from
    from walked
    group by kind, name, of_kind, made_from
    order by depth, kind, name, of_kind, made_from
)
