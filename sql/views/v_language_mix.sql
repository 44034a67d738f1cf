-- In which languages are the texts of each batch and source, as the detector sees it?
-- reads caption; returns a row a batch, source and language
create or replace view v_language_mix as
with

counted as (
    select
        batch,
        source,
        lang,
        count(*) as n,
        avg(lang_conf) as confidence
    from caption
    group by all
)

select
    batch,
    source,
    lang,
    n,
    confidence,
    n / sum(n) over (partition by batch, source) as share
from counted
order by batch, source, n desc, lang
