-- Is the picture as fetched too small?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    least(original_width, original_height) as value,
    $min_side as threshold
from candidate
where least(original_width, original_height) < $min_side
