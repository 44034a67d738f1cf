-- What drops when the filter judges and the RBM's mutual information has a say?
-- reads cheap_rule; returns source and rule: what is named drops, every other rule only flags
select
    unnest(['web', 'synthetic']) as source,
    rule
from (
    from cheap_rule
    union all
    select unnest(['not_scored', 'itm_probability', 'rbm_pmi', 'texts_per_source']) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
