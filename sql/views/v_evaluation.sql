-- What is each evaluated model worth, and what was it trained on?
-- reads evaluation; returns a row an evaluation, baseline and score
create or replace view v_evaluation as
select
    run,
    model,
    trained_on,
    batch,
    images,
    baseline,
    score,
    value,
    low,
    high
from evaluation
order by score, baseline nulls first, trained_on, run
