-- What drops when the filter judges web and synthetic texts alike (BLIP, section 3.3)?
-- reads cheap_rule; returns source and rule: what is named drops, every other rule only flags
select
    unnest(['web', 'synthetic']) as source,
    rule
from (
    from cheap_rule
    union all
    select unnest(['not_scored', 'itm_probability', 'texts_per_source']) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
