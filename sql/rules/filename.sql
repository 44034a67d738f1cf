-- Is the text a file name?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    1 as value,
    null::double as threshold
from candidate
where is_filename
