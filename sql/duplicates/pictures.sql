-- Which pictures are compared with each other?
-- reads web, compared; returns a row a kept picture with a number from 0, those of the earliest batch first
select
    row_number() over (order by compared.place, web.key) - 1 as id,
    web.batch,
    web.key,
    web.source,
    web.sha256,
    web.phash,
    web.dhash,
    web.trimmed_phash,
    web.trimmed_dhash,
    least(web.original_width, web.original_height) as shorter_side,
    compared.is_new,
    -- Nearly flat pictures all hash alike; there only equal bytes speak.
    coalesce(web.entropy >= $min_entropy and web.flat_frac <= $max_flat_frac, false) as has_look
from web
join compared using (batch)
where web.outcome = 'kept'
