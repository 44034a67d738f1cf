-- What share of the web texts would have to change its language to be like those of the last green run?
-- reads gate_profile, baseline_profile; returns measure, slice, series, metric, n
-- total variation, half the sum of the differences of the shares; a batch that was there then is held
-- against itself, a new one against the batch that it is most like
with

pairs as (
    select
        now.batch,
        before.batch as other,
        least(now.n, before.n) as n,
        now.labels as labels_now,
        now.counts as counts_now,
        now.n as n_now,
        before.labels as labels_before,
        before.counts as counts_before,
        before.n as n_before
    from gate_profile as now
    join baseline_profile as before using (source, signal, model)
    where now.signal = 'lang' and now.source = 'web'
    qualify
        before.batch = now.batch
        or not bool_or(before.batch = now.batch) over (partition by now.batch)
),

shares as (
    select
        batch,
        other,
        n,
        unnest(labels_now) as lang,
        unnest(counts_now) / n_now as share
    from pairs
    union all
    select
        batch,
        other,
        n,
        unnest(labels_before) as lang,
        -unnest(counts_before) / n_before as share
    from pairs
),

differences as (
    select
        batch,
        other,
        n,
        lang,
        abs(sum(share)) as difference
    from shares
    group by all
),

varied as (
    select
        batch,
        other,
        n,
        sum(difference) / 2 as variation
    from differences
    group by all
)

select
    'languages' as measure,
    batch || ', against ' || other as slice,
    'web' as series,
    variation as metric,
    n
from varied
qualify row_number() over (partition by batch order by variation, other) = 1
