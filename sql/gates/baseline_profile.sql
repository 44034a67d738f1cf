-- How was each signal distributed in the last green run that has it, in every batch it had?
-- reads raw_profile, green_run; returns a row a source, signal, model and batch
with

named as (
    select
        parse_path(path)[-2] as check_id,
        * exclude (path)
    from raw_profile
)

select
    named.* exclude (check_id),
    green_run.run,
    green_run.checked_at
from named
join green_run using (check_id)
qualify
    dense_rank() over (
        partition by named.source, named.signal, named.model
        order by green_run.checked_at desc, green_run.check_id
    ) = 1
