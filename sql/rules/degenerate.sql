-- Did the captioner write nothing that is a sentence?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    1 as value
from candidate
where degenerate
