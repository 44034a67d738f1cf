-- Which texts stand under many pictures?
-- reads sample_final; returns a row a selection and text that at least five pictures share
create or replace view v_boilerplate as
with

-- Almost every text is under one picture: only the others are worth a closer look.
frequent as (
    select
        selection,
        source,
        text_norm_hash
    from sample_final
    where text_norm_hash is not null
    group by selection, source, text_norm_hash
    having count(*) >= 5
)

select
    sample_final.selection,
    sample_final.source,
    min(sample_final.text) as text,
    count(distinct sample_final.key) as pictures,
    count(distinct sample_final.domain) as domains,
    avg(sample_final.itm_probability) as mean_itm,
    avg(sample_final.kept::int) as keep_rate
from sample_final
join frequent using (selection, source, text_norm_hash)
group by sample_final.selection, sample_final.source, sample_final.text_norm_hash
having count(distinct sample_final.key) >= 5
order by sample_final.selection, sample_final.source, pictures desc, text
