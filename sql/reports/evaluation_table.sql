-- What are all scores of all evaluated models and baselines, side by side?
-- reads evaluation, selection; returns a row a score, with a column a model or baseline: value [95 % interval]
pivot (
    select
        evaluation.score,
        coalesce(
            evaluation.baseline,
            regexp_extract(evaluation.model, '([^/]+?)(-[0-9a-f]{12})?/[0-9]+', 1)
            || coalesce(
                ' on ' || (
                    select string_agg(distinct selection.policy, ' + ' order by selection.policy)
                    from selection
                    where list_contains(evaluation.trained_on, selection.id)
                ),
                ''
            )
        ) as label,
        printf('%.3f [%.3f, %.3f]', evaluation.value, evaluation.low, evaluation.high) as told
    from evaluation
)
on label
using any_value(told)
group by score
order by score
