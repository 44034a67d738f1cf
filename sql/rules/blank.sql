-- Is the picture almost one colour?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    flat_frac as value,
    $max_flat_frac as threshold
from candidate
where flat_frac > $max_flat_frac
