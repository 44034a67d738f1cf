-- Is the picture as fetched too small?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    least(original_width, original_height) as value,
    $min_side as threshold
from candidate
where least(original_width, original_height) < $min_side
