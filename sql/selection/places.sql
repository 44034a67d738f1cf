-- Which place has every caption in the files that are written?
-- reads candidate; returns number, place (from 0), batch, shard and source
select
    rowid as number,
    row_number() over (order by batch, shard, key, caption_id) - 1 as place,
    batch,
    shard,
    source
from candidate
