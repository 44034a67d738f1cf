-- What drops when the closest fraction of the web's pairs is taken (DataComp's CLIP score)?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    'web' as source,
    unnest([
        'evaluation_leakage',
        'near_duplicate',
        'not_scored',
        'itc_top_fraction'
    ]) as rule
union all
select
    'human' as source,
    'evaluation_leakage' as rule
