-- Are the words too few to describe a picture?
-- reads candidate; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    n_words as value,
    $min_words as threshold
from candidate
where n_words < $min_words
