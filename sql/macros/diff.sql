-- Which captions are in one of two selections and not in the other?
-- reads sample_final; a macro over two selection ids; returns a row a caption that differs
create or replace macro diff(one, other) as table (
    select
        coalesce(a.batch, b.batch) as batch,
        coalesce(a.key, b.key) as key,
        coalesce(a.caption_id, b.caption_id) as caption_id,
        coalesce(a.source, b.source) as source,
        coalesce(a.text, b.text) as text,
        coalesce(a.kept, false) as in_one,
        coalesce(b.kept, false) as in_other,
        a.first_reason as dropped_from_one,
        b.first_reason as dropped_from_other,
        coalesce(a.itm_probability, b.itm_probability) as itm_probability
    from (from sample_final where selection = one) as a
    full join (from sample_final where selection = other) as b
        on a.batch = b.batch
        and a.caption_id = b.caption_id
    where coalesce(a.kept, false) <> coalesce(b.kept, false)
    order by 1, 2, 3
)
