-- What share of the texts of each source is kept?
-- reads sample_final; returns a row a source of the selection $selection
select
    source,
    count(*) as captions,
    count(*) filter (kept) as kept,
    avg(kept::int) as keep_rate,
    mode(first_reason) as top_reason,
    median(itm_probability) as median_itm
from sample_final
where selection = $selection
group by source
order by source desc
