-- Is the picture less like its text than those of the best fraction of the web?
-- reads candidate, score; returns number, value and threshold of the offenders
select
    rowid as number,
    itc_cosine as value,
    itc_cut as threshold
from candidate
where
    itc_cosine < itc_cut
    or ((itc_cosine is null or isnan(itc_cosine)) and exists (from score))
