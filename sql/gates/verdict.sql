-- Which gates failed, which warned, and which green runs were they held against?
-- reads gate_result, baseline, baseline_profile; returns one row
select
    (
        select coalesce(list(distinct gate order by gate), [])
        from gate_result
        where status = 'fail'
    ) as failed,
    (
        select coalesce(list(distinct gate order by gate), [])
        from gate_result
        where status = 'warn'
    ) as warned,
    (
        select coalesce(list(distinct run order by run), [])
        from (select run from baseline union select run from baseline_profile)
    ) as baselines
