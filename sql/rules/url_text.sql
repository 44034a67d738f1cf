-- Does the text hold an address?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    1 as value
from candidate
where url_in_text
