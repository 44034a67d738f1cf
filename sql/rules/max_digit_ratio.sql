-- Are too many of the characters digits?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    digit_ratio as value,
    $max_digit_ratio as threshold
from candidate
where digit_ratio > $max_digit_ratio
