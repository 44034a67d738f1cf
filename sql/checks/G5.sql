-- Which signal that is always computed is missing in a batch, and how often?
-- reads sample, caption, concerned_batch; returns measure, slice, metric, n
with

pictures as (
    select
        batch,
        count(*) as n,
        count(phash) as phash,
        count(dhash) as dhash,
        count(entropy) as entropy,
        count(lap_var) as lap_var,
        count(bright_p50) as bright_p50,
        count(colorfulness) as colorfulness,
        count(flat_frac) as flat_frac,
        count(sha256) as sha256
    from sample
    where outcome = 'kept' and batch in (select batch from concerned_batch)
    group by batch
),

texts as (
    select
        batch,
        count(*) as n,
        count(n_words) as n_words,
        count(alpha_ratio) as alpha_ratio,
        count(text_norm_hash) as text_norm_hash
    from caption
    where batch in (select batch from concerned_batch)
    group by batch
),

final as (
    unpivot pictures
    on phash, dhash, entropy, lap_var, bright_p50, colorfulness, flat_frac, sha256
    into name signal value present
    union all
    unpivot texts on n_words, alpha_ratio, text_norm_hash
    into name signal value present
)

select
    'missing' as measure,
    signal || ' of ' || batch as slice,
    1 - present / n as metric,
    n
from final
where n > 0
