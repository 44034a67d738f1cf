-- What became of every caption, at which stage of judging, and on which day was its picture found?
-- reads sample_final, rule; returns a row a selection and caption; stage is the family of the first rule
create or replace view v_final as
select
    sample_final.selection,
    sample_final.batch,
    sample_final.shard,
    sample_final.key,
    sample_final.caption_id,
    sample_final.run,
    sample_final.source,
    sample_final.text,
    sample_final.lang,
    sample_final.n_words,
    sample_final.domain,
    sample_final.fetched_on,
    sample_final.itc_cosine,
    sample_final.itm_probability,
    sample_final.rbm_pmi,
    sample_final.kept,
    sample_final.first_reason,
    rule.family as first_stage,
    sample_final.all_reasons
from sample_final
left join rule
    on rule.rule = sample_final.first_rule
