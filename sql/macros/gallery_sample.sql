-- What do captions of one verdict look like?
-- reads sample_final; a macro over selection, first reason (null: kept) and number; the same rows every time
create or replace macro gallery_sample(wanted_selection, wanted_reason, how_many) as table (
    select
        batch,
        key,
        caption_id,
        source,
        text,
        itm_probability,
        itc_cosine,
        first_reason
    from sample_final
    where selection = wanted_selection and first_reason is not distinct from wanted_reason
    order by hash(key), caption_id
    limit how_many
)
