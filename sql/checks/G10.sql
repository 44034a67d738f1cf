-- How many of each captioner's texts are distinct, how many of its pairs of words, and how long are they?
-- reads caption, current_run; returns measure, slice, series, metric, n
-- pairs are those of five thousand texts, taken by chance (an id is a hash): the share falls with their number
with

written as (
    select
        caption.run || ' on ' || caption.batch as slice,
        caption.caption_id,
        lower(trim(caption.text)) as text,
        string_split(lower(trim(caption.text)), ' ') as words
    from caption
    join current_run
        on current_run.stage = 'captioning'
        and current_run.run = caption.run
        and current_run.batch = caption.batch
    where caption.source = 'synthetic'
),

taken as (
    select
        slice,
        caption_id,
        words
    from written
    qualify row_number() over (partition by slice order by caption_id) <= 5000
),

places as (
    select
        slice,
        caption_id,
        words,
        unnest(range(1, len(words))) as place
    from taken
),

pairs as (
    select
        slice,
        caption_id,
        words[place] || ' ' || words[place + 1] as pair
    from places
)

select
    'distinct' as measure,
    slice,
    'synthetic' as series,
    count(distinct text) / count(*) as metric,
    count(*) as n
from written
group by slice
union all
select
    'words' as measure,
    slice,
    'synthetic' as series,
    avg(len(words)) as metric,
    count(*) as n
from written
group by slice
union all
select
    'pairs' as measure,
    slice,
    'synthetic' as series,
    count(distinct pair) / count(*) as metric,
    count(distinct caption_id) as n
from pairs
group by slice
