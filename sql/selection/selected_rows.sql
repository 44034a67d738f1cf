-- What does training read?
-- reads selected; returns the columns of the selections table, shard after shard
select
    key,
    caption_id,
    text,
    source
from selected
order by batch, shard, key, caption_id
