-- What would another ITM threshold keep, without scoring anything again?
-- reads v_itm_threshold_sweep; returns a row a source and threshold of the selection $selection
select
    source,
    threshold,
    n_scored,
    keep_rate,
    n_selected
from v_itm_threshold_sweep
where selection = $selection
order by source, threshold
