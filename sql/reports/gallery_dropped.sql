-- What do the captions dropped for each reason look like?
-- reads sample_final; returns batch and key of pictures whose web text was dropped first for a reason
with

numbered as (
    select
        first_reason as kind,
        batch,
        key,
        row_number() over (partition by first_reason order by key, batch) as place
    from (
        select distinct first_reason, batch, key
        from sample_final
        where selection = $selection and not kept and source <> 'synthetic'
    )
)

select
    kind,
    batch,
    key
from numbered
where place <= $most
order by kind, place
