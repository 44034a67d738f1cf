-- Are the characters too few to describe a picture?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    n_chars as value,
    $min_chars as threshold
from candidate
where n_chars < $min_chars
