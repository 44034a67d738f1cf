-- Does the picture hold almost no grey levels?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    entropy as value,
    $min_entropy as threshold
from candidate
where entropy < $min_entropy
