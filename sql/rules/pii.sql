-- Does the text hold an e-mail address or a telephone number?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    1 as value
from candidate
where pii_flag
