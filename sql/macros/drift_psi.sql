-- How far has a signal of web texts moved from one batch to another?
-- reads sample, caption; a macro over two batches and a signal; returns psi over ten quantile bins
-- above 0.1 look, above 0.25 the source has changed
create or replace macro drift_psi(before, after, wanted) as table (
    with

    long as (
        unpivot (
            select
                caption.batch,
                caption.n_words::double as n_words,
                caption.n_chars::double as n_chars,
                caption.alpha_ratio::double as alpha_ratio,
                sample.lap_var::double as lap_var,
                sample.entropy::double as entropy,
                sample.colorfulness::double as colorfulness,
                sample.bytes::double as bytes
            from caption
            join sample using (batch, key)
            where caption.source = 'web'
        )
        on n_words, n_chars, alpha_ratio, lap_var, entropy, colorfulness, bytes
        into name signal value value
    ),

    edges as (
        select quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edge
        from long
        where batch = before and signal = wanted
    ),

    binned as (
        select
            batch,
            len(list_filter(edge, lambda e: e < value)) as bin,
            count(*) as n
        from long
        cross join edges
        where signal = wanted and batch in (before, after)
        group by all
    ),

    -- Half a row for an empty bin: the logarithm of nothing has no value.
    both_sides as (
        select
            bin,
            greatest(coalesce(sum(n) filter (batch = before), 0), 0.5) as n_before,
            greatest(coalesce(sum(n) filter (batch = after), 0), 0.5) as n_after
        from binned
        group by all
    ),

    totals as (
        select
            sum(n_before) as all_before,
            sum(n_after) as all_after
        from both_sides
    )

    select
        wanted as signal,
        sum(
            (n_after / all_after - n_before / all_before)
            * ln((n_after / all_after) / (n_before / all_before))
        ) as psi
    from both_sides
    cross join totals
)
