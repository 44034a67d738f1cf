-- Is the text an article and not a caption?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    n_words as value,
    $max_words as threshold
from candidate
where n_words > $max_words
