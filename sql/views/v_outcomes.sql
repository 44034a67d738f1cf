-- What became of the candidates of each batch?
-- reads sample; returns batch, outcome, http_status, n and its share of the batch
create or replace view v_outcomes as
with

counted as (
    select
        batch,
        outcome,
        case when outcome = 'http_error' then http_status end as http_status,
        count(*) as n
    from sample
    group by all
)

select
    batch,
    outcome,
    http_status,
    n,
    n / sum(n) over (partition by batch) as share
from counted
order by batch, n desc, outcome, http_status
