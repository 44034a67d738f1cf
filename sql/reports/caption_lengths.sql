-- How many words do captions have, by source?
-- reads v_caption_length_hist; returns a row a source and number of words (40 and more), with its share of the source
with

summed as (
    select
        source,
        words,
        sum(n)::bigint as n,
        sum(n) filter (kept)::bigint as n_kept
    from v_caption_length_hist
    where selection = $selection
    group by all
)

select
    source,
    words as low,
    words + 1 as high,
    n,
    coalesce(n_kept, 0) as n_kept,
    n / sum(n) over (partition by source) as share
from summed
order by source, low
