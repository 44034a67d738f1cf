-- Which content does the selection have?
-- reads selected; returns one sha256 of all rows in order
select sha256(
    coalesce(
        string_agg(
            concat_ws(chr(31), batch, shard, key, caption_id, source, text),
            chr(10)
            order by batch, shard, key, caption_id
        ),
        ''
    )
) as digest
from selected
