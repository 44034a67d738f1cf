-- What share of each captioner's texts is distinct?
-- reads caption; returns slice, metric, n
select
    run as slice,
    count(distinct lower(text)) / count(*) as metric,
    count(*) as n
from caption
where source = 'synthetic'
group by run
