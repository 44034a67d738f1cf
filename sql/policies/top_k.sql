-- What drops when the k texts that match their pictures best are kept?
-- reads cheap_rule; returns source and rule: what is named drops, every other rule only flags
select
    source,
    rule
from (select unnest(['web', 'synthetic']) as source)
cross join (
    from cheap_rule
    union all
    select unnest(['not_scored', 'itm_top_k']) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
