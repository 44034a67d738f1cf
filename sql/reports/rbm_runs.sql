-- Which RBM has judged the pairs of the selection $selection?
-- reads selection, stage_run; returns its own RBM's run first, then those that scored its batches, the newest first
with

chosen as (
    from selection where id = $selection
)

select
    stage_run.run,
    bool_or(stage_run.run = chosen.rbm_run) as is_its_own,
    sum(stage_run.n_out)::bigint as scores,
    max(stage_run.committed_at) as written_at
from stage_run
join chosen
    on list_contains(chosen.batches, stage_run.batch)
where stage_run.stage = 'rbm'
group by stage_run.run
order by is_its_own desc, written_at desc, stage_run.run
