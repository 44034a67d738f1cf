-- How many words do captions have, by source and verdict?
-- reads sample_final; returns a row a selection, source, verdict and number of words (40 and more)
create or replace view v_caption_length_hist as
select
    selection,
    source,
    kept,
    least(n_words, 40) as words,
    count(*) as n
from sample_final
group by selection, source, kept, words
order by selection, source, kept, words
