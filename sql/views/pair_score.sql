-- Which number did each model give each text, and what does the text say?
-- reads score, caption; returns a row a text and scoring run
create or replace view pair_score as
select
    score.run,
    score.model,
    score.batch,
    score.shard,
    score.key,
    score.caption_id,
    caption.source,
    caption.text,
    score.itc_cosine,
    score.itm_probability,
    score.rbm_pmi,
    score.gaussian_pmi,
    score.free_energy
from score
left join caption using (batch, caption_id)
