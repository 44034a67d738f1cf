-- Is the picture almost one colour?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    flat_frac as value,
    $max_flat_frac as threshold
from candidate
where flat_frac > $max_flat_frac
