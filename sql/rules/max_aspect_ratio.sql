-- Is the picture as fetched a strip?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    greatest(original_width, original_height) / least(original_width, original_height) as value,
    $max_aspect_ratio as threshold
from candidate
where greatest(original_width, original_height) > $max_aspect_ratio * least(original_width, original_height)
