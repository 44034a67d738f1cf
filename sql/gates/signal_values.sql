-- Which values has each signal, of pictures, texts and pairs, by who wrote the text?
-- reads sample, caption, score, concerned_batch, current_run; returns a row a value that is there
-- a model's numbers compare only within that model; `model` is empty where no model has a part
with

pictures as (
    unpivot (
        select
            batch,
            source,
            '' as model,
            lap_var::float as lap_var,
            entropy::float as entropy,
            bright_p50::float as bright_p50,
            colorfulness::float as colorfulness,
            bytes::float as bytes,
            least(original_width, original_height)::float as min_side,
            (original_width / nullif(original_height, 0))::float as aspect
        from sample
        where outcome = 'kept' and batch in (select batch from concerned_batch)
    )
    on lap_var, entropy, bright_p50, colorfulness, bytes, min_side, aspect
    into name signal value value
),

texts as (
    unpivot (
        select
            caption.batch,
            caption.source,
            case when caption.source = 'synthetic' then caption.model else '' end as model,
            caption.n_words::float as n_words,
            caption.n_chars::float as n_chars,
            caption.alpha_ratio::float as alpha_ratio,
            caption.upper_ratio::float as upper_ratio,
            caption.lm_logprob::float as lm_logprob
        from caption
        left join current_run
            on current_run.stage = 'captioning'
            and current_run.batch = caption.batch
            and current_run.run = caption.run
        where
            caption.batch in (select batch from concerned_batch)
            and (caption.run = 'ingestion' or current_run.run is not null)
    )
    on n_words, n_chars, alpha_ratio, upper_ratio, lm_logprob
    into name signal value value
),

pairs as (
    unpivot (
        select
            score.batch,
            caption.source,
            score.model,
            score.itm_probability::float as itm_probability,
            score.itc_cosine::float as itc_cosine,
            score.rbm_pmi::float as rbm_pmi,
            score.free_energy::float as free_energy
        from score
        join current_run
            on current_run.stage in ('scoring', 'rbm')
            and current_run.batch = score.batch
            and current_run.run = score.run
        join caption
            on caption.batch = score.batch
            and caption.caption_id = score.caption_id
    )
    on itm_probability, itc_cosine, rbm_pmi, free_energy
    into name signal value value
),

final as (
    select * from pictures
    union all by name
    select * from texts
    union all by name
    select * from pairs
)

select
    batch,
    source,
    signal,
    coalesce(model, '') as model,
    value
from final
where isfinite(value)
