-- What drops when the two texts closest to a picture are kept, of the web's and many written ones?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    source,
    rule
from (select unnest(['web', 'synthetic']) as source)
cross join (
    select unnest([
        'evaluation_leakage',
        'near_duplicate',
        'degenerate',
        'not_scored',
        'texts_per_picture'
    ]) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
