-- Which shards of the judged batches are put aside?
-- reads stage_run, concerned_batch; returns batch and shard, in order
select
    batch,
    shard
from stage_run
join concerned_batch using (batch)
where stage = 'quarantine' and run = 'ingestion'
order by batch, shard
