-- What share of the candidates of each batch answered with bytes?
-- reads sample; returns slice, metric, n
-- robots.txt and opt-outs are answers too: nobody was asked for bytes
select
    batch as slice,
    avg((coalesce(bytes, 0) > 0 or outcome = 'kept')::int) as metric,
    count(*) as n
from sample
where outcome not in ('robots_txt', 'opted_out')
group by batch
