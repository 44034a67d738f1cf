-- Which texts stand behind a better one of the same picture and source?
-- reads standing; returns number, value (rank from 1) and threshold
-- where a re-ranking was named its order counts, else the filter's
with

ranked as (
    select
        number,
        row_number() over (
            partition by batch, key, source
            order by rerank_score desc nulls last, itm_probability desc nulls last, caption_id
        ) as value
    from standing
)

select
    number,
    value,
    $texts_per_source as threshold
from ranked
where $texts_per_source > 0 and value > $texts_per_source
