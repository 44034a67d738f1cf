-- How far has a signal moved from one batch, or from one run, to another?
-- reads v_signal_long; a macro over two batches or runs and a signal; returns psi over ten quantile bins of the first
-- of a batch its pictures and found texts count; above 0.1 look, above 0.25 the source or the model has changed
create or replace macro drift_psi(before, after, wanted) as table (
    with

    of_before as (
        select value
        from v_signal_long
        where signal = wanted
            and (run = before or (batch = before and source <> 'synthetic'))
            and isfinite(value)
    ),

    of_after as (
        select value
        from v_signal_long
        where signal = wanted
            and (run = after or (batch = after and source <> 'synthetic'))
            and isfinite(value)
    ),

    edges as (
        select quantile_cont(value, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edge
        from of_before
    ),

    binned as (
        select
            len(list_filter(edge, lambda e: e < value)) as bin,
            true as is_before
        from of_before
        cross join edges
        union all
        select
            len(list_filter(edge, lambda e: e < value)) as bin,
            false as is_before
        from of_after
        cross join edges
    ),

    -- Half a row for an empty bin: the logarithm of nothing has no value.
    both_sides as (
        select
            bin,
            greatest(count(*) filter (is_before), 0.5) as n_before,
            greatest(count(*) filter (not is_before), 0.5) as n_after
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
