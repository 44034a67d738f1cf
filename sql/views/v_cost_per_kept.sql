-- How many seconds, on how many processors of which kind, does a thousand kept captions take?
-- reads selection, stage_run, sample_final; returns a row a selection; every stage that made it counts whole
create or replace view v_cost_per_kept as
with

spent as (
    select
        selection.id as selection,
        sum(stage_run.seconds) as seconds,
        sum(stage_run.gpu_seconds) as gpu_seconds
    from selection
    join stage_run
        on list_contains(selection.batches, stage_run.batch)
        and (
            stage_run.run in (
                'ingestion', selection.score_run, selection.rbm_run, selection.rerank_run, selection.id
            )
            or list_contains(selection.caption_runs, stage_run.run)
        )
    group by all
),

kept as (
    select
        selection,
        count(*) filter (kept) as n_kept
    from sample_final
    group by all
)

select
    selection,
    n_kept,
    seconds,
    gpu_seconds,
    1000 * seconds / nullif(n_kept, 0) as seconds_per_1000,
    1000 * gpu_seconds / nullif(n_kept, 0) as gpu_seconds_per_1000
from kept
join spent using (selection)
order by selection
