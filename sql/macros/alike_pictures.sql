-- Which pictures of one table are, or look like, pictures of another?
-- reads the two tables named; a macro over their names; returns slice, batch, key and the least distance, in bits
-- both have slice (only equal ones meet), key, sha256, phash, dhash, trimmed_phash, trimmed_dhash and
-- has_look; the first has batch too. Equal bytes and one address are at 0; two 64-bit hashes at most
-- 3 bits apart share one of four 16-bit bands, so a join on bands finds all of them
create or replace macro alike_pictures(these, those) as table (
    with

    -- What lies inside a plain border is a look of its own.
    look as (
        select
            slice,
            batch,
            key,
            phash,
            dhash
        from query_table(these)
        where has_look and phash is not null
        union all
        select
            slice,
            batch,
            key,
            trimmed_phash as phash,
            trimmed_dhash as dhash
        from query_table(these)
        where has_look and trimmed_phash is not null
    ),

    other_look as (
        select
            slice,
            phash,
            dhash
        from query_table(those)
        where has_look and phash is not null
        union
        select
            slice,
            trimmed_phash as phash,
            trimmed_dhash as dhash
        from query_table(those)
        where has_look and trimmed_phash is not null
    ),

    band as (
        select
            *,
            unnest(range(4)) as place,
            (phash >> (16 * unnest(range(4)))) & 65535 as bits
        from look
    ),

    other_band as (
        select
            *,
            unnest(range(4)) as place,
            (phash >> (16 * unnest(range(4)))) & 65535 as bits
        from other_look
    ),

    alike as (
        select
            band.slice,
            band.batch,
            band.key,
            bit_count(xor(band.phash, other_band.phash)) as distance
        from band
        join other_band using (slice, place, bits)
        -- The other hash is a second witness: pictures on white ground come close in one by chance.
        where
            bit_count(xor(band.phash, other_band.phash)) <= 3
            and bit_count(xor(band.dhash, other_band.dhash)) <= 10
    ),

    equal as (
        select
            slice,
            batch,
            key,
            0 as distance
        from query_table(these)
        where
            (slice, key) in (select (slice, key) from query_table(those))
            or (slice, sha256) in (select (slice, sha256) from query_table(those) where sha256 is not null)
    )

    select
        slice,
        batch,
        key,
        min(distance) as distance
    from (select * from alike union all select * from equal)
    group by slice, batch, key
)
