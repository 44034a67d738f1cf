-- How much of each kind of planted noise does the selection drop?
-- reads v_filter_eval; returns a row a kind of noise of the selection $selection, and one for all
select
    coalesce(noise, 'all') as noise,
    n,
    noise_dropped,
    noise_kept,
    clean_dropped,
    clean_kept,
    noise_precision,
    noise_recall,
    clean_kept_rate,
    noise_left
from v_filter_eval
where selection = $selection
order by v_filter_eval.noise is not null, n desc, noise
