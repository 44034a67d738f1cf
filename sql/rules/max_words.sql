-- Is the text an article and not a caption?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    n_words as value,
    $max_words as threshold
from candidate
where n_words > $max_words
