-- How far has each signal moved since the last green run?
-- reads signal_value, gate_profile, baseline_profile; returns measure, slice, series, metric, n
-- population stability index over the deciles of then; a batch that was there then is held against
-- itself, a new one against the batch of its source that it is most like
with

pairs as (
    select
        now.batch,
        now.source,
        now.signal,
        now.model,
        before.batch as other,
        before.edges,
        before.counts,
        before.n as n_before,
        now.n as n_now
    from gate_profile as now
    join baseline_profile as before using (source, signal, model)
    where now.signal <> 'lang'
    qualify
        before.batch = now.batch
        or not bool_or(before.batch = now.batch) over (
            partition by now.batch, now.source, now.signal, now.model
        )
),

binned as (
    select
        pairs.batch,
        pairs.source,
        pairs.signal,
        pairs.model,
        pairs.other,
        len(list_filter(pairs.edges, lambda e: e < signal_value.value)) as bin,
        count(*) as n
    from pairs
    join signal_value using (batch, source, signal, model)
    group by all
),

-- Half a row for an empty bin: the logarithm of nothing has no value.
counted as (
    select
        pairs.*,
        greatest(pairs.counts[place.bin + 1], 0.5) as count_before,
        greatest(coalesce(binned.n, 0), 0.5) as count_now
    from pairs
    cross join (select unnest(range(10)) as bin) as place
    left join binned using (batch, source, signal, model, other, bin)
),

shares as (
    select
        *,
        count_before / sum(count_before) over one_pair as share_before,
        count_now / sum(count_now) over one_pair as share_now
    from counted
    window one_pair as (partition by batch, source, signal, model, other)
),

moved as (
    select
        batch,
        source,
        signal,
        model,
        other,
        sum((share_now - share_before) * ln(share_now / share_before)) as psi,
        least(any_value(n_now), any_value(n_before)) as n
    from shares
    group by all
)

select
    'psi' as measure,
    signal || ' of ' || source || ' in ' || batch || ', against ' || other as slice,
    source || ' ' || signal as series,
    psi as metric,
    n
from moved
qualify row_number() over (partition by batch, source, signal, model order by psi, other) = 1
