-- Where do the two heads, or the two texts of a picture, tell different stories?
-- reads sample_final; returns a row a web and synthetic text of one picture, with the kind
create or replace view v_disagreement as
with

cuts as (
    select
        selection,
        quantile_cont(itc_cosine, 0.8) as high_itc
    from sample_final
    where source = 'web' and isfinite(itc_cosine)
    group by all
),

paired as (
    select
        web.selection,
        web.batch,
        web.key,
        web.text as web_text,
        synthetic.text as synthetic_text,
        web.itc_cosine as web_itc,
        web.itm_probability as web_itm,
        synthetic.itm_probability as synthetic_itm,
        case
            when web.itc_cosine >= high_itc and web.itm_probability < 0.2
                then 'vectors close, matching head says no'
            when not web.kept and synthetic.kept and synthetic.itm_probability > 0.9
                then 'web dropped, synthetic kept'
        end as kind
    from sample_final as web
    join cuts using (selection)
    left join sample_final as synthetic
        on synthetic.selection = web.selection
        and synthetic.batch = web.batch
        and synthetic.key = web.key
        and synthetic.source = 'synthetic'
    where web.source = 'web'
)

select *
from paired
where kind is not null
order by selection, kind, hash(key)
