-- Are too many of the characters neither letters, digits nor spaces?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    special_ratio as value,
    $max_special_ratio as threshold
from candidate
where special_ratio > $max_special_ratio
