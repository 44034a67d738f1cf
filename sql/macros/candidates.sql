-- Which captions could a picture have had, and why is the first choice the first?
-- reads score, caption; a macro over a key; returns a row a candidate and re-ranking, best first: the four parts add up to the score
create or replace macro candidates(wanted) as table (
    select
        score.run as reranking,
        score.rerank_place,
        caption.text,
        score.rerank_score,
        score.lm_part,
        score.itm_part,
        score.itc_part,
        score.pmi_part,
        caption.run as written_in,
        caption."index",
        caption.lm_logprob,
        caption.n_tokens,
        score.caption_id
    from score
    join caption
        on caption.batch = score.batch
        and caption.caption_id = score.caption_id
    where
        score.key = wanted
        and score.lm_part is not null
    order by
        score.run,
        score.rerank_place nulls last,
        score.caption_id
)
