-- How are the scores of web and synthetic texts distributed?
-- reads v_score_hist; returns a row a signal, source and bin of the selection $selection, with its share of the source
select
    signal,
    source,
    bin_start as low,
    bin_end as high,
    n,
    n / sum(n) over (partition by signal, source) as share
from v_score_hist
where selection = $selection
order by signal, source, bin
