-- Are too few of the characters letters?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    alpha_ratio as value,
    $min_alpha_ratio as threshold
from candidate
where alpha_ratio < $min_alpha_ratio
