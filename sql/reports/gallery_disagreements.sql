-- Where do the matching head, the embeddings and the RBM tell different stories?
-- reads sample_final, score; returns batch and key of web texts whose ranks by two signals lie furthest apart
with

ranked as (
    select
        sample_final.batch,
        sample_final.key,
        sample_final.caption_id,
        percent_rank() over (order by sample_final.itm_probability) as by_itm,
        percent_rank() over (order by sample_final.itc_cosine) as by_itc,
        case when isfinite(score.rbm_pmi) then percent_rank() over (order by score.rbm_pmi) end
            as by_pmi
    from sample_final
    left join score
        on score.run = $rbm_run
        and score.batch = sample_final.batch
        and score.caption_id = sample_final.caption_id
    where sample_final.selection = $selection
        and sample_final.source = 'web'
        and isfinite(sample_final.itm_probability)
        and isfinite(sample_final.itc_cosine)
),

told as (
    select
        batch,
        key,
        caption_id,
        unnest(['ITM high, ITC low', 'ITM low, ITC high', 'ITM high, PMI low', 'ITM low, PMI high'])
            as kind,
        unnest([by_itm - by_itc, by_itc - by_itm, by_itm - by_pmi, by_pmi - by_itm]) as gap
    from ranked
),

numbered as (
    select
        kind,
        batch,
        key,
        row_number() over (partition by kind order by gap desc, key, caption_id) as place
    from told
    where gap >= 0.3
)

select
    kind,
    batch,
    key
from numbered
where place <= $most
order by kind, place
