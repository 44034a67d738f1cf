-- Are too few of the characters letters?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    alpha_ratio as value,
    $min_alpha_ratio as threshold
from candidate
where alpha_ratio < $min_alpha_ratio
