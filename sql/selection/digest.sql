-- Which content does the selection have?
-- reads candidate, outcome; returns one sha256 of all selected rows in order
select sha256(
    coalesce(
        string_agg(
            concat_ws(
                chr(31),
                candidate.batch,
                candidate.shard,
                candidate.key,
                candidate.caption_id,
                candidate.source,
                candidate.text
            ),
            chr(10)
            order by outcome.place
        ),
        ''
    )
) as digest
from candidate
join outcome on outcome.number = candidate.rowid
where outcome.is_selected
