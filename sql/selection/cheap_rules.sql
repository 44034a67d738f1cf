-- Which rules drop a found or written text before any model has judged it?
-- reads nothing; returns a row a rule; policies read it as cheap_rule and name what they add
select
    unnest([
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
        'caption_repeated'
    ]) as rule
