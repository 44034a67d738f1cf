-- Does the filter find that text and picture do not belong together?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    itm_probability as value,
    $itm_probability as threshold
from candidate
where itm_probability < $itm_probability
