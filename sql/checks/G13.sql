-- How well does each filter rank right web texts above planted noise?
-- reads v_auc; returns slice, metric, n
select
    selection || ' ' || signal as slice,
    auc as metric,
    n_clean + n_noise as n
from v_auc
where signal = 'itm_probability'
