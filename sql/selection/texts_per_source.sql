-- Which texts stand behind a better one of the same picture and source?
-- reads candidate, finding, policy; returns batch, caption_id, value (rank from 1) and threshold
-- only texts that no other rule drops take a place; human texts are references and all stay
-- where a re-ranking was named its order counts, else the filter's
with

dropped as (
    select
        finding.batch,
        finding.caption_id
    from finding
    join candidate using (batch, caption_id)
    join policy using (source, rule)
),

ranked as (
    select
        batch,
        caption_id,
        row_number() over (
            partition by batch, key, source
            order by rerank_score desc nulls last, itm_probability desc nulls last, caption_id
        ) as value
    from candidate
    anti join dropped using (batch, caption_id)
    where source <> 'human'
)

select
    batch,
    caption_id,
    value,
    $texts_per_source as threshold
from ranked
where $texts_per_source > 0 and value > $texts_per_source
