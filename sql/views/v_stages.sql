-- What did every stage do, what got lost in it, and how long did it take?
-- reads stage_run; returns a row a stage and run
create or replace view v_stages as
select
    stage,
    run,
    count(*) as shards,
    sum(n_in) as n_in,
    sum(n_out) as n_out,
    sum(n_dropped) as n_dropped,
    sum(n_failed) as n_failed,
    sum(n_out) / nullif(sum(n_in), 0) as yield,
    sum(seconds) as seconds,
    sum(gpu_seconds) as gpu_seconds,
    sum(n_in) / nullif(sum(seconds), 0) as per_second,
    sum(bytes) as bytes,
    min(committed_at) as first_commit,
    max(committed_at) as last_commit
from stage_run
group by stage, run
order by first_commit, stage, run
