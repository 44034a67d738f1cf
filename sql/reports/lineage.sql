-- Which models were trained on which selections, written and judged by which runs?
-- reads model, selection; returns a row a run's last checkpoint and selection it was trained on
with

last as (
    from model
    qualify step = max(step) over (partition by run)
)

select
    last.uri as model,
    last.step,
    trained.id as selection,
    selection.policy,
    left(selection.digest, 12) as digest,
    selection.selected,
    selection.batches,
    selection.caption_runs,
    selection.score_run,
    selection.rbm_run
from last
cross join lateral (select unnest(last.selections) as id) as trained
left join selection using (id)
order by last.uri, trained.id
