-- Which selections are there, and which of them is a report about unless it is told?
-- reads selection, stage_run; returns a row a selection: those judged by a filter first, the newest of them on top
with

written as (
    select
        run as id,
        max(committed_at) as written_at
    from stage_run
    where stage = 'selection'
    group by all
)

select
    selection.id,
    selection.policy,
    selection.captions,
    selection.selected,
    selection.selected / nullif(selection.captions, 0) as share,
    selection.batches,
    selection.caption_runs,
    selection.score_run,
    selection.rbm_run,
    selection.evaluation_batches,
    selection.thresholds,
    selection.digest,
    written.written_at
from selection
left join written using (id)
order by selection.score_run <> '' desc, written.written_at desc nulls last, selection.id
