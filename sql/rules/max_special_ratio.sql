-- Are too many of the characters neither letters, digits nor spaces?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    special_ratio as value,
    $max_special_ratio as threshold
from candidate
where special_ratio > $max_special_ratio
