-- What share of an RBM's scores is no number?
-- reads score; returns slice, metric, n
with

machine as (
    select
        run,
        bool_or(rbm_pmi is not null) as is_rbm
    from score
    group by run
)

select
    score.run as slice,
    avg((rbm_pmi is null or isnan(rbm_pmi))::int) as metric,
    count(*) as n
from score
join machine using (run)
where machine.is_rbm
group by score.run
