-- What was decided, and by which rule?
-- reads decision; returns the columns of the decisions table, shard after shard
select *
from decision
order by batch, shard, key, caption_id, "order"
