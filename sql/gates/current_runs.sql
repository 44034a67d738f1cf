-- Which run of each stage do the gates judge on each batch?
-- reads stage_run, concerned_batch; returns a row a stage and batch: the newest of $runs, or of all when it is empty
with

runs as (
    select
        stage,
        batch,
        run,
        max(committed_at) as last_commit
    from stage_run
    where
        batch in (select batch from concerned_batch)
        and (len($runs::varchar[]) = 0 or list_contains($runs::varchar[], run))
    group by all
)

select
    stage,
    batch,
    run
from runs
qualify
    row_number() over (
        partition by stage, batch
        order by last_commit desc, run desc
    ) = 1
