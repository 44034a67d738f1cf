-- Is the picture one of those the models are judged on?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    leakage_distance as value,
    $leakage_distance as threshold
from candidate
where leakage_distance <= $leakage_distance
