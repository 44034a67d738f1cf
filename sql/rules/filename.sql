-- Is the text a file name?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    1 as value
from candidate
where is_filename
