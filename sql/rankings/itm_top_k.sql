-- Which texts are not among the k that match their pictures best?
-- reads standing; returns number, value (rank from 1) and threshold
with

ranked as (
    select
        number,
        row_number() over (
            order by itm_probability desc nulls last, caption_id, batch
        ) as value
    from standing
)

select
    number,
    value,
    $top_k as threshold
from ranked
where value > $top_k
