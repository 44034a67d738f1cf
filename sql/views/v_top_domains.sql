-- Which domains does the selected web text come from?
-- reads sample_final; returns a row a selection and domain
create or replace view v_top_domains as
with

counted as (
    select
        selection,
        domain,
        count(*) filter (kept) as n_kept,
        count(*) as n
    from sample_final
    where source = 'web'
    group by all
)

select
    selection,
    domain,
    n_kept,
    n,
    n_kept / nullif(sum(n_kept) over (partition by selection), 0) as share
from counted
order by selection, n_kept desc, domain
