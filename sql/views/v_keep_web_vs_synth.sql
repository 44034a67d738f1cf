-- What share of web and of synthetic text is kept, and how do the two compare?
-- reads sample_final; returns a row a selection and batch, and one for all its batches (batch null)
create or replace view v_keep_web_vs_synth as
with

counted as (
    select
        selection,
        batch,
        count(*) filter (source = 'web') as n_web,
        count(*) filter (source = 'synthetic') as n_synthetic,
        count(*) filter (source = 'web' and kept) as kept_web,
        count(*) filter (source = 'synthetic' and kept) as kept_synthetic
    from sample_final
    group by grouping sets ((selection, batch), (selection))
)

select
    selection,
    batch,
    n_web,
    n_synthetic,
    kept_web,
    kept_synthetic,
    kept_web / nullif(n_web, 0) as keep_web,
    kept_synthetic / nullif(n_synthetic, 0) as keep_synthetic,
    kept_synthetic / nullif(kept_web, 0) as synthetic_per_web
from counted
order by selection, batch nulls last
