-- Which domains have how much text that is not kept, and why mostly?
-- reads sample_final; returns a row a selection and domain
create or replace view v_noise_by_domain as
select
    selection,
    domain,
    count(*) as n,
    avg((not kept)::int) as noise_rate,
    mode(first_reason) as top_reason,
    median(itm_probability) as median_itm
from sample_final
where source = 'web'
group by selection, domain
order by selection, n desc, domain
