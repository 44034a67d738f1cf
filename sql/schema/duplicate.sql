-- Which pictures repeat another one, of their batch or of an earlier one?
-- reads raw_duplicate; returns a row a duplicate, with its batch from the path
with

named as (
    select
        parse_path(path)[-2] as batch,
        key,
        keeper,
        -- Lakes from before batches were compared with each other do not name it.
        coalesce(keeper_batch, parse_path(path)[-2]) as keeper_batch,
        method,
        distance
    from raw_duplicate
)

select * from named
where (key, batch) <> (keeper, keeper_batch)
