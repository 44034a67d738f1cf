-- Which pictures have the same bytes or the same look, and which were marked as copies before?
-- reads picture, look, mark; returns pairs of picture numbers that link all of a kind to its first
with

same_bytes as (
    select
        min(id) over (partition by sha256) as one,
        id as other
    from picture
    where sha256 is not null
),

same_look as (
    select
        id as one,
        unnest(ids) as other
    from look
),

marked as (
    select
        keeper.id as one,
        copy.id as other
    from mark
    join picture as copy
        on copy.batch = mark.batch
        and copy.key = mark.key
    join picture as keeper
        on keeper.batch = mark.keeper_batch
        and keeper.key = mark.keeper
),

final as (
    select * from same_bytes
    union all
    select * from same_look
    union all
    select * from marked
)

select * from final
where one <> other
