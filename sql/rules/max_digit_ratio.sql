-- Are too many of the characters digits?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    digit_ratio as value,
    $max_digit_ratio as threshold
from candidate
where digit_ratio > $max_digit_ratio
