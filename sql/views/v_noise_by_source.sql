-- How much text of each source and batch is not kept, and why mostly?
-- reads sample_final; returns a row a selection, batch and source
create or replace view v_noise_by_source as
select
    selection,
    batch,
    source,
    count(*) as n,
    count(*) filter (kept) as n_kept,
    avg((not kept)::int) as noise_rate,
    mode(first_reason) as top_reason,
    median(itm_probability) as median_itm
from sample_final
group by selection, batch, source
order by selection, batch, source
