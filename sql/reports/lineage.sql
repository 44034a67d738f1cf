-- Which models were trained on which selections, written and judged by which runs?
-- reads model, selection; returns a row a checkpoint and selection it was trained on
select
    model.uri as model,
    model.step,
    trained.id as selection,
    selection.policy,
    selection.digest,
    selection.selected,
    selection.batches,
    selection.caption_runs,
    selection.score_run,
    selection.rbm_run
from model
cross join lateral (select unnest(model.selections) as id) as trained
left join selection using (id)
order by model.uri, trained.id
