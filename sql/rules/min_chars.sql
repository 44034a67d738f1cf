-- Are the characters too few to describe a picture?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    n_chars as value,
    $min_chars as threshold
from candidate
where n_chars < $min_chars
