-- How is each signal of each batch distributed?
-- reads signal_value, caption, concerned_batch; returns a row a batch, source, signal and model
-- edges are the nine deciles, counts the values between them (above an edge, up to the next); of the
-- signal lang, labels are the languages and counts their texts
with

described as (
    select
        batch,
        source,
        signal,
        model,
        count(*) as n,
        avg(value::double) as mean,
        stddev_pop(value::double) as std,
        quantile_cont(value::double, 0.99) as p99,
        quantile_cont(value::double, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as edges
    from signal_value
    group by all
),

binned as (
    select
        signal_value.batch,
        signal_value.source,
        signal_value.signal,
        signal_value.model,
        len(list_filter(described.edges, lambda e: e < signal_value.value)) as bin,
        count(*) as n
    from signal_value
    join described using (batch, source, signal, model)
    group by all
),

bins as (
    select
        described.batch,
        described.source,
        described.signal,
        described.model,
        list(coalesce(binned.n, 0) order by place.bin) as counts
    from described
    cross join (select unnest(range(10)) as bin) as place
    left join binned using (batch, source, signal, model, bin)
    group by all
),

numbers as (
    select
        described.*,
        bins.counts,
        null::varchar[] as labels
    from described
    join bins using (batch, source, signal, model)
),

spoken as (
    select
        batch,
        source,
        coalesce(lang, '') as lang,
        count(*) as n
    from caption
    where source <> 'synthetic' and batch in (select batch from concerned_batch)
    group by all
),

languages as (
    select
        batch,
        source,
        'lang' as signal,
        '' as model,
        sum(n)::bigint as n,
        list(n order by n desc, lang) as counts,
        list(lang order by n desc, lang) as labels
    from spoken
    group by all
)

select * from numbers
union all by name
select * from languages
