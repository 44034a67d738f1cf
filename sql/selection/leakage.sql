-- Which pictures are also among those that models are judged on?
-- reads web, evaluation_web, alike_pictures; returns batch, key and the smallest distance of perceptual hashes, in bits
with

-- Nearly flat pictures all hash alike; there only equal bytes speak.
judged as (
    select
        *,
        '' as slice,
        entropy >= $min_entropy and flat_frac <= $max_flat_frac as has_look
    from evaluation_web
    where outcome = 'kept'
),

picture as (
    select
        *,
        '' as slice,
        entropy >= $min_entropy and flat_frac <= $max_flat_frac as has_look
    from web
    where outcome = 'kept'
)

select
    batch,
    key,
    distance::double as leakage_distance
from alike_pictures('picture', 'judged')
