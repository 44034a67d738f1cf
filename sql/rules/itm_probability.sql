-- Does the filter find that text and picture do not belong together?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    itm_probability as value,
    $itm_probability as threshold
from candidate
where itm_probability < $itm_probability
