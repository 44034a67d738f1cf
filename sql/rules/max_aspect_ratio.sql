-- Is the picture as fetched a strip?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    greatest(original_width, original_height) / least(original_width, original_height) as value,
    $max_aspect_ratio as threshold
from candidate
where greatest(original_width, original_height) > $max_aspect_ratio * least(original_width, original_height)
