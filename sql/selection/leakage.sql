-- Which pictures are also among those that models are judged on?
-- reads web, evaluation_web; returns batch, key and the smallest distance of perceptual hashes, in bits
-- two 64-bit hashes at most 3 bits apart share one of four 16-bit bands, so a join finds all of them
with

judged as (
    select
        key,
        sha256,
        phash,
        dhash,
        trimmed_phash,
        trimmed_dhash,
        -- Nearly flat pictures all hash alike; there only equal bytes speak.
        entropy >= $min_entropy and flat_frac <= $max_flat_frac as has_look
    from evaluation_web
    where outcome = 'kept'
),

picture as (
    select
        batch,
        key,
        sha256,
        phash,
        dhash,
        trimmed_phash,
        trimmed_dhash,
        entropy >= $min_entropy and flat_frac <= $max_flat_frac as has_look
    from web
    where outcome = 'kept'
),

-- What lies inside a plain border is a look of its own.
judged_look as (
    select
        phash,
        dhash
    from judged
    where has_look and phash is not null
    union
    select
        trimmed_phash as phash,
        trimmed_dhash as dhash
    from judged
    where has_look and trimmed_phash is not null
),

picture_look as (
    select
        batch,
        key,
        phash,
        dhash
    from picture
    where has_look and phash is not null
    union all
    select
        batch,
        key,
        trimmed_phash as phash,
        trimmed_dhash as dhash
    from picture
    where has_look and trimmed_phash is not null
),

judged_band as (
    select
        *,
        unnest(range(4)) as band,
        (phash >> (16 * unnest(range(4)))) & 65535 as bits
    from judged_look
),

picture_band as (
    select
        *,
        unnest(range(4)) as band,
        (phash >> (16 * unnest(range(4)))) & 65535 as bits
    from picture_look
),

alike as (
    select
        picture_band.batch,
        picture_band.key,
        min(bit_count(xor(picture_band.phash, judged_band.phash))) as leakage_distance
    from picture_band
    join judged_band using (band, bits)
    -- The other hash is a second witness: pictures on white ground come close in one by chance.
    where
        bit_count(xor(picture_band.phash, judged_band.phash)) <= 3
        and bit_count(xor(picture_band.dhash, judged_band.dhash)) <= 10
    group by all
),

equal as (
    select
        picture.batch,
        picture.key,
        0 as leakage_distance
    from picture
    where
        picture.key in (select key from judged)
        or picture.sha256 in (select sha256 from judged where sha256 is not null)
),

final as (
    select
        batch,
        key,
        min(leakage_distance)::double as leakage_distance
    from (select * from alike union all select * from equal)
    group by all
)

select * from final
