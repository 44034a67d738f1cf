-- What drops when the filter judges and no concept may have more than its share?
-- reads cheap_rule; returns source and rule: what is named drops, every other rule only flags
select
    source,
    rule
from (select unnest(['web', 'synthetic']) as source)
cross join (
    from cheap_rule
    union all
    select unnest(['not_scored', 'itm_probability', 'texts_per_source', 'concept_cap']) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
