-- Which new pictures repeat another one, and which one stands for them?
-- reads picture, grouped, mark; returns a row a copy; a batch that was marked before is not marked again
with

several as (
    select
        grouped.label,
        picture.*
    from picture
    join grouped using (id)
    qualify
        count(*) over (partition by grouped.label) > 1
        and bool_or(picture.is_new) over (partition by grouped.label)
),

marked as (
    select distinct
        batch,
        key
    from mark
),

-- A batch that is marked once more may hold pictures that stand for later ones since.
standing as (
    select distinct
        keeper_batch as batch,
        keeper as key
    from mark
),

ranked as (
    select
        several.*,
        row_number() over (
            partition by several.label
            order by
                marked.key is not null,
                several.is_new and standing.key is null,
                -- A picture of people's own captions is in few selections.
                coalesce(several.source, '') <> 'web',
                several.shorter_side desc nulls last,
                several.key,
                several.batch
        ) as place
    from several
    left join marked using (batch, key)
    left join standing using (batch, key)
),

paired as (
    select
        copy.key,
        keeper.key as keeper,
        keeper.batch as keeper_batch,
        coalesce(copy.sha256 = keeper.sha256, false) as has_same_bytes,
        least(
            bit_count(xor(copy.phash, keeper.phash)),
            bit_count(xor(copy.phash, keeper.trimmed_phash)),
            bit_count(xor(copy.trimmed_phash, keeper.phash)),
            bit_count(xor(copy.trimmed_phash, keeper.trimmed_phash))
        ) as apart
    from ranked as copy
    join ranked as keeper
        on keeper.label = copy.label
        and keeper.place = 1
    where copy.is_new and copy.place > 1
),

final as (
    select
        key,
        keeper,
        keeper_batch,
        if(has_same_bytes, 'sha256', 'phash') as method,
        if(has_same_bytes, 0, apart)::smallint as distance
    from paired
)

select * from final
order by key
