-- On which days did each source bring how much text that is not kept?
-- reads sample_final; returns a row a selection, batch, source and day of fetching
create or replace view v_noise_by_source_day as
select
    selection,
    batch,
    source,
    fetched_on,
    count(*) as n,
    avg((not kept)::int) as noise_rate,
    mode(first_reason) as top_reason,
    median(itm_probability) as median_itm
from sample_final
group by selection, batch, source, fetched_on
order by selection, batch, source, fetched_on
