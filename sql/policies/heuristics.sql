-- What drops when only the cheap rules judge the texts of the web?
-- reads cheap_rule; returns source and rule: what is named drops, every other rule only flags
select
    'web' as source,
    rule
from cheap_rule
union all
select
    'human' as source,
    'evaluation_leakage' as rule
