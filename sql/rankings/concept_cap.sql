-- Which texts name only things that enough other texts name already (MetaCLIP's balancing)?
-- reads standing, candidate; returns number, value (least rank from 1) and threshold
-- a concept is a word of four letters or more; a text stays as one of the first of any of its words,
-- in an order drawn by its id, and texts without such a word are one concept together
with

spoken as (
    select
        standing.number,
        standing.batch,
        standing.caption_id,
        list_distinct(regexp_extract_all(lower(candidate.text), '\p{L}{4,}')) as words
    from standing
    join candidate on candidate.rowid = standing.number
),

worded as (
    select
        number,
        batch,
        caption_id,
        unnest(
            case
                when len(words) = 0 then ['']
                else words
            end
        ) as word
    from spoken
),

ranked as (
    select
        number,
        row_number() over (partition by word order by md5(caption_id), batch) as place
    from worded
),

final as (
    select
        number,
        min(place) as value,
        $texts_per_concept as threshold
    from ranked
    group by all
)

select * from final
where value > threshold
