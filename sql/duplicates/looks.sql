-- Which different looks are there?
-- reads picture; returns a row a pair of hashes, those that only earlier batches have first, with its first picture
with

look as (
    select
        id,
        is_new,
        phash,
        dhash
    from picture
    where has_look and phash is not null
    union all
    select
        id,
        is_new,
        trimmed_phash as phash,
        trimmed_dhash as dhash
    from picture
    where has_look and trimmed_phash is not null
),

different as (
    select
        phash,
        dhash,
        min(id) as id,
        list(id) as ids,
        bool_or(is_new) as is_new
    from look
    group by phash, dhash
)

select
    row_number() over (order by is_new, phash, dhash) as place,
    *
from different
