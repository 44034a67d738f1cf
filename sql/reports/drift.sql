-- How far do the signals of web texts and pictures differ between the first shards of a batch and its last?
-- reads caption, sample; returns a row a batch and signal with its population stability index over ten quantile bins
-- above 0.1 look, above 0.25 the source has changed within the crawl
with

halves as (
    select
        batch,
        shard,
        ntile(2) over (partition by batch order by shard) as half
    from (select distinct batch, shard from sample)
),

long as (
    unpivot (
        select
            halves.batch,
            halves.half,
            caption.n_words::double as n_words,
            caption.n_chars::double as n_chars,
            caption.alpha_ratio::double as alpha_ratio,
            sample.lap_var::double as lap_var,
            sample.entropy::double as entropy,
            sample.colorfulness::double as colorfulness,
            sample.bytes::double as bytes
        from caption
        join sample using (batch, key)
        join halves
            on halves.batch = sample.batch
            and halves.shard = sample.shard
        where caption.source = 'web'
    )
    on n_words, n_chars, alpha_ratio, lap_var, entropy, colorfulness, bytes
    into name signal value value
),

edges as (
    select
        batch,
        signal,
        quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edge
    from long
    where half = 1
    group by all
),

binned as (
    select
        batch,
        signal,
        len(list_filter(edge, lambda e: e < value)) as bin,
        count(*) filter (half = 1) as n_first,
        count(*) filter (half = 2) as n_last
    from long
    join edges using (batch, signal)
    group by all
),

-- Half a row for an empty bin: the logarithm of nothing has no value.
shares as (
    select
        batch,
        signal,
        n_first,
        n_last,
        greatest(n_first, 0.5) / sum(greatest(n_first, 0.5)) over each_signal as first_share,
        greatest(n_last, 0.5) / sum(greatest(n_last, 0.5)) over each_signal as last_share
    from binned
    window each_signal as (partition by batch, signal)
)

select
    batch,
    signal,
    sum((last_share - first_share) * ln(last_share / first_share)) as psi,
    sum(n_first)::bigint as n_first,
    sum(n_last)::bigint as n_last
from shares
group by batch, signal
having sum(n_last) > 0
order by psi desc, batch, signal
