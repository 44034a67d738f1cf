-- What became of the candidates that were not kept?
-- reads v_outcomes; returns a row a batch, outcome and HTTP status
select
    batch,
    outcome || coalesce(' ' || http_status, '') as outcome,
    n,
    share
from v_outcomes
where outcome <> 'kept'
order by n desc, batch, outcome
