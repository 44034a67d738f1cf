-- What drops under DataComp's basic filter: language, length, size and shape?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    'web' as source,
    unnest([
        'evaluation_leakage',
        'not_english',
        'min_words',
        'min_chars',
        'min_side',
        'max_aspect_ratio'
    ]) as rule
union all
select
    'human' as source,
    'evaluation_leakage' as rule
