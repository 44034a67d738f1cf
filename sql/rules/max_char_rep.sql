-- Does the text repeat itself, character by character?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    char_rep as value,
    $max_char_rep as threshold
from candidate
where char_rep > $max_char_rep
