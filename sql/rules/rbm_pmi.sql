-- Does the text tell less about the picture than those of all but the lowest quantile?
-- reads candidate, rbm_score; returns number, value and threshold of the offenders
select
    rowid as number,
    rbm_pmi as value,
    rbm_pmi_cut as threshold
from candidate
where
    rbm_pmi < rbm_pmi_cut
    or ((rbm_pmi is null or isnan(rbm_pmi)) and exists (from rbm_score))
