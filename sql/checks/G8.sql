-- What share of the web texts does each filter accept?
-- reads score, caption; returns slice, metric, n
select
    score.run as slice,
    avg((score.itm_probability >= 0.5 and not isnan(score.itm_probability))::int) as metric,
    count(*) as n
from score
join caption using (batch, caption_id)
where caption.source = 'web' and score.itm_probability is not null
group by score.run
