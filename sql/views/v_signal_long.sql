-- Which values has every signal of pictures, texts and pairs, one below the other?
-- reads image_signal, caption, score; returns a row a value; run is what measured it: ingestion, a captioner's, a filter's
create or replace view v_signal_long as
with

picture as (
    unpivot (
        select
            'ingestion' as run,
            batch,
            'picture' as source,
            lap_var::double as lap_var,
            entropy::double as entropy,
            bright_p50::double as bright_p50,
            colorfulness::double as colorfulness,
            flat_frac::double as flat_frac,
            min_side::double as min_side,
            bytes::double as bytes
        from image_signal
    )
    on lap_var, entropy, bright_p50, colorfulness, flat_frac, min_side, bytes
    into name signal value value
),

worded as (
    unpivot (
        select
            run,
            batch,
            source,
            n_words::double as n_words,
            n_chars::double as n_chars,
            alpha_ratio::double as alpha_ratio,
            char_rep::double as char_rep,
            lm_logprob::double as lm_logprob
        from caption
    )
    on n_words, n_chars, alpha_ratio, char_rep, lm_logprob
    into name signal value value
),

judged as (
    unpivot (
        select
            run,
            batch,
            'pair' as source,
            itc_cosine::double as itc_cosine,
            itm_probability::double as itm_probability,
            rbm_pmi::double as rbm_pmi,
            free_energy::double as free_energy
        from score
    )
    on itc_cosine, itm_probability, rbm_pmi, free_energy
    into name signal value value
)

select * from picture
union all
select * from worded
union all
select * from judged
