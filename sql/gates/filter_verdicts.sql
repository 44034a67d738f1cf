-- What did the filters that the gates judge say of each text, and did they accept it?
-- reads score, caption, current_run, concerned_selection; returns a row a text and filter's run
-- the threshold is that of the selections made of these scores; before there is one, BLIP's 0.5
with

threshold as (
    select
        score_run,
        max(threshold) as threshold
    from concerned_selection
    group by score_run
)

select
    score.run,
    score.batch,
    score.shard,
    caption.run as caption_run,
    caption.source,
    coalesce(
        score.itm_probability >= coalesce(threshold.threshold, 0.5)
        and not isnan(score.itm_probability),
        false
    ) as is_accepted
from score
join current_run
    on current_run.stage = 'scoring'
    and current_run.run = score.run
    and current_run.batch = score.batch
join caption
    on caption.batch = score.batch
    and caption.caption_id = score.caption_id
left join threshold on threshold.score_run = score.run
where score.itm_probability is not null
