-- Which captions does no rule drop?
-- reads candidate, decision; returns a row of the selections table for each, with batch and shard
select
    batch,
    shard,
    key,
    caption_id,
    text,
    source
from candidate
anti join (select batch, caption_id from decision where verdict = 'drop') using (batch, caption_id)
