-- How many captions, decisions and selected texts has every shard?
-- reads outcome; returns a row a shard, in order
select
    batch,
    shard,
    count(*) as captions,
    sum(decisions) as decisions,
    count(*) filter (not is_selected) as dropped,
    count(*) filter (is_selected) as selected
from outcome
group by all
order by batch, shard
