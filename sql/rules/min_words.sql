-- Are the words too few to describe a picture?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    n_words as value,
    $min_words as threshold
from candidate
where n_words < $min_words
