-- Has the filter given no number, or one that is none?
-- reads candidate, score; returns number and value of the offenders
select
    rowid as number,
    itm_probability as value
from candidate
where
    (itm_probability is null or isnan(itm_probability))
    and exists (from score)
