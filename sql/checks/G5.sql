-- Which signal that is always computed is missing, and how often?
-- reads sample, caption; returns slice, metric, n
with

pictures as (
    select
        count(*) as n,
        count(phash) as phash,
        count(dhash) as dhash,
        count(entropy) as entropy,
        count(lap_var) as lap_var,
        count(flat_frac) as flat_frac,
        count(sha256) as sha256
    from sample
    where outcome = 'kept'
),

texts as (
    select
        count(*) as n,
        count(n_words) as n_words,
        count(alpha_ratio) as alpha_ratio,
        count(text_norm_hash) as text_norm_hash
    from caption
),

final as (
    unpivot pictures on phash, dhash, entropy, lap_var, flat_frac, sha256
    into name slice value present
    union all
    unpivot texts on n_words, alpha_ratio, text_norm_hash
    into name slice value present
)

select
    slice,
    1 - present / n as metric,
    n
from final
where n > 0
