-- Where do the measurements of all checks go?
-- reads nothing; returns no row, with the columns of a measurement
-- series: what the number is the next value of, in whatever run; spread: how far it usually lies from its median
select
    null::varchar as gate,
    null::varchar as measure,
    null::varchar as slice,
    null::varchar as series,
    null::double as metric,
    null::bigint as n,
    null::double as spread
where false
