-- What drops when the filter judges web and synthetic texts alike (BLIP, section 3.3)?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    unnest(['web', 'synthetic']) as source,
    rule
from (
    select unnest([
        'evaluation_leakage',
        'near_duplicate',
        'degenerate',
        'min_words',
        'min_chars',
        'max_words',
        'filename',
        'url_text',
        'boilerplate',
        'min_alpha_ratio',
        'max_special_ratio',
        'max_digit_ratio',
        'max_char_rep',
        'pii',
        'not_english',
        'caption_repeated',
        'not_scored',
        'itm_probability',
        'texts_per_source'
    ]) as rule
)
union all
select
    'human' as source,
    'evaluation_leakage' as rule
