-- Which texts does each selection hold?
-- reads raw_selected; returns a row a selected text, with selection, batch and shard from its path
select
    parse_path(path)[-3] as selection,
    parse_path(path)[-2] as batch,
    split_part(parse_path(path)[-1], '.', 1) as shard,
    key,
    caption_id,
    text,
    source
from raw_selected
