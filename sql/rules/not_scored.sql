-- Has the filter given no number, or one that is none?
-- reads candidate, score; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    itm_probability as value,
    null::double as threshold
from candidate
where
    (itm_probability is null or isnan(itm_probability))
    and exists (from score)
