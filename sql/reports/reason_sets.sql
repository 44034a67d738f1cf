-- Which reasons come together?
-- reads sample_final; returns the twelve most frequent sets of reasons in the selection $selection
with

sets as (
    select
        list_sort(all_reasons) as reasons,
        source
    from sample_final
    where selection = $selection and not kept
)

select
    array_to_string(reasons, ' + ') as reasons,
    count(*) as captions,
    count(*) filter (source = 'web') as web,
    count(*) filter (source = 'synthetic') as synthetic
from sets
group by all
order by captions desc, reasons
limit 12
