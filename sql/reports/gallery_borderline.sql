-- Which pairs does the filter find hardest to judge?
-- reads sample_final; returns batch and key of the web and synthetic texts nearest to an ITM probability of one half
with

distances as (
    select
        batch,
        key,
        arg_min(source, abs(itm_probability - 0.5)) as source,
        min(abs(itm_probability - 0.5)) as distance
    from sample_final
    where selection = $selection and isfinite(itm_probability)
    group by all
)

select
    source || ' text' as kind,
    batch,
    key
from distances
where distance <= 0.2
order by distance, key, batch
limit $most
