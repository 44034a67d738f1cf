-- Why were captions dropped: for any rule, for the first, and for no other?
-- reads v_reason_breakdown; returns a row a source and reason of the selection $selection
select
    reason,
    source,
    family,
    n_any,
    n_first,
    n_only
from v_reason_breakdown
where selection = $selection
order by n_first desc, n_any desc, reason, source
