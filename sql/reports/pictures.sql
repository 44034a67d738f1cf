-- What is known of these pictures and their texts?
-- reads sample, sample_final, score; returns a row a picture of $keys with its texts in the selection $selection
with

texts as (
    select
        sample_final.batch,
        sample_final.key,
        list({
            source: sample_final.source,
            text: sample_final.text,
            kept: sample_final.kept,
            reasons: sample_final.all_reasons,
            itm: sample_final.itm_probability,
            itc: sample_final.itc_cosine,
            pmi: score.rbm_pmi
        } order by sample_final.source desc, sample_final.caption_id)[:6] as texts
    from sample_final
    left join score
        on score.run = $rbm_run
        and score.batch = sample_final.batch
        and score.caption_id = sample_final.caption_id
    where sample_final.selection = $selection and sample_final.key in (select unnest($keys))
    group by all
)

select
    sample.batch,
    sample.shard,
    sample.key,
    sample.url,
    sample.page_url,
    sample.tar_offset,
    sample.tar_size,
    sample.original_width as width,
    sample.original_height as height,
    coalesce(texts.texts, []) as texts
from sample
left join texts using (batch, key)
where sample.key in (select unnest($keys)) and sample.tar_offset is not null
order by sample.batch, sample.key
