-- Is the text a phrase of the site's machinery?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    1 as value
from candidate
where has_stop_phrase
