-- What does the lake hold, by its commit records?
-- reads stage_run; returns a row a stage, run and batch, in order
select
    stage,
    run,
    batch,
    count(*) as shards,
    sum(n_out)::bigint as n_out
from stage_run
group by all
order by stage, run, batch
