-- How many pictures of every shard have a text that gets how far in a selection?
-- reads sample_final, stale; returns a row a shard of the selection $selection; a picture gets as far as its best text
with

picture as (
    select
        sample_final.selection,
        sample_final.batch,
        sample_final.shard,
        bool_or(sample_final.passes_picture) as is_distinct,
        bool_or(sample_final.passes_cheap) as is_sound,
        bool_or(sample_final.kept) as is_selected
    from sample_final
    join stale using (selection, batch, shard)
    where sample_final.selection = $selection
    group by
        sample_final.selection,
        sample_final.batch,
        sample_final.shard,
        sample_final.key
)

select
    selection,
    batch,
    shard,
    count(*) filter (is_distinct) as n_distinct,
    count(*) filter (is_sound) as n_sound,
    count(*) filter (is_selected) as n_selected
from picture
group by selection, batch, shard
