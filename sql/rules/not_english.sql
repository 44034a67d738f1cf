-- Is the text surely in another language than the one the model is to learn?
-- reads candidate; returns number, value and threshold of the offenders
-- short alt-texts of plain letters are left to the filter: a language detector is wrong on one in seven
select
    rowid as number,
    lang_conf as value,
    $language_confidence as threshold
from candidate
where
    lang <> $language
    and lang_conf >= $language_confidence
    and (n_words >= $language_min_words or not regexp_full_match(text, '[[:ascii:]]*'))
