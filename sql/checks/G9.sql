-- What share of the synthetic texts does each filter reject?
-- reads filter_verdict; returns measure, slice, series, metric, n
select
    'rejected' as measure,
    run || ' on ' || caption_run || ' of ' || batch as slice,
    'synthetic' as series,
    avg((not is_accepted)::int) as metric,
    count(*) as n
from filter_verdict
where source = 'synthetic'
group by run, caption_run, batch
