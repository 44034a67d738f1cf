-- Was the text written by a source this policy does not train on?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    null::double as value,
    null::double as threshold
from candidate
where source not in (select source from policy)
