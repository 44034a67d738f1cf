-- Does the same text stand under so many pictures that it cannot describe them?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    repeats as value,
    repeats_allowed as threshold
from candidate
where repeats >= repeats_allowed
