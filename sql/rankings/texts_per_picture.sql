-- Which texts stand behind closer ones of the same picture, whoever wrote them (BLIP-2, 3.1)?
-- reads standing; returns number, value (rank from 1) and threshold
with

ranked as (
    select
        number,
        row_number() over (
            partition by batch, key
            order by itc_cosine desc nulls last, caption_id
        ) as value
    from standing
)

select
    number,
    value,
    $texts_per_picture as threshold
from ranked
where $texts_per_picture > 0 and value > $texts_per_picture
