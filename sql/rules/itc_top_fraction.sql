-- Is the picture less like its text than those of the best fraction of the web?
-- reads candidate, score; returns batch, caption_id, value and threshold of the offenders
select
    batch,
    caption_id,
    itc_cosine as value,
    itc_cut as threshold
from candidate
where
    itc_cosine < itc_cut
    or ((itc_cosine is null or isnan(itc_cosine)) and exists (from score))
