-- What was measured of each RBM when it had been fitted?
-- reads model; returns a row a metric of rbms/<run>/rbm.json, with a column a run
pivot (
    with

    machine as (
        select
            run,
            facts::json as facts
        from model
        where starts_with(uri, 'rbms/')
    ),

    named as (
        select
            run,
            facts,
            unnest(json_keys(facts, '$.metrics')) as metric
        from machine
    ),

    final as (
        select
            run,
            metric,
            json_extract_string(facts, '$.metrics."' || metric || '"') as text
        from named
    )

    select
        run,
        metric,
        coalesce(printf('%.4g', try_cast(text as double)), text) as told
    from final
)
on run
using any_value(told)
group by metric
order by metric
