-- What share of the synthetic texts does each filter reject?
-- reads score, caption; returns slice, metric, n
select
    score.run || ' on ' || caption.run as slice,
    avg((score.itm_probability < 0.5 or isnan(score.itm_probability))::int) as metric,
    count(*) as n
from score
join caption using (batch, caption_id)
where caption.source = 'synthetic' and score.itm_probability is not null
group by score.run, caption.run
