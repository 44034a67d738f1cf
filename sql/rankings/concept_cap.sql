-- Which texts name only things that enough other texts name already (MetaCLIP's balancing)?
-- reads standing; returns batch, caption_id, value (least rank from 1) and threshold
-- a concept is a word of four letters or more; a text stays as one of the first of any of its words,
-- in an order drawn by its id, and texts without such a word are one concept together
with

worded as (
    select
        batch,
        caption_id,
        unnest(
            case
                when len(words) = 0 then ['']
                else words
            end
        ) as word
    from (
        select
            batch,
            caption_id,
            list_distinct(regexp_extract_all(lower(text), '\p{L}{4,}')) as words
        from standing
    )
),

ranked as (
    select
        batch,
        caption_id,
        row_number() over (partition by word order by md5(caption_id), batch) as place
    from worded
),

final as (
    select
        batch,
        caption_id,
        min(place) as value,
        $texts_per_concept as threshold
    from ranked
    group by all
)

select * from final
where value > threshold
