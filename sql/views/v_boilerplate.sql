-- Which texts stand under many pictures?
-- reads sample_final; returns a row a selection and text that at least five pictures share
create or replace view v_boilerplate as
select
    selection,
    source,
    min(text) as text,
    count(distinct key) as pictures,
    count(distinct domain) as domains,
    avg(itm_probability) as mean_itm,
    avg(kept::int) as keep_rate
from sample_final
where text_norm_hash is not null
group by selection, source, text_norm_hash
having count(distinct key) >= 5
order by selection, source, pictures desc, text
