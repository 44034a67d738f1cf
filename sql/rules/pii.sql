-- Does the text hold an e-mail address or a telephone number?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    1 as value,
    null::double as threshold
from candidate
where pii_flag
