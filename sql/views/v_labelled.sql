-- Which web captions have a known truth, and what was decided about them?
-- reads truth_label, sample_final, duplicate; returns a row a selection and labelled web caption
create or replace view v_labelled as
select
    sample_final.selection,
    sample_final.batch,
    sample_final.key,
    sample_final.caption_id,
    sample_final.text,
    truth_label.right_text,
    truth_label.noise,
    truth_label.is_noise,
    sample_final.kept,
    sample_final.first_reason,
    sample_final.itm_probability,
    sample_final.itc_cosine,
    sample_final.rbm_pmi,
    duplicate.key is not null as is_duplicate
from sample_final
join truth_label using (batch, caption_id)
left join duplicate
    on duplicate.batch = sample_final.batch
    and duplicate.key = sample_final.key
