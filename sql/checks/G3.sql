-- What share of the fetched bytes is no sound picture?
-- reads sample, concerned_batch; returns measure, slice, metric, n
-- a picture that is too small or too long is sound
with

fetched as (
    select
        batch,
        outcome in (
            'not_an_image', 'unknown_format', 'unsupported_format', 'truncated', 'corrupt',
            'incomplete_body', 'empty_body'
        ) as is_broken
    from sample
    where
        batch in (select batch from concerned_batch)
        and outcome in (
            'kept', 'not_an_image', 'unknown_format', 'unsupported_format', 'truncated', 'corrupt',
            'incomplete_body', 'empty_body', 'too_many_pixels', 'too_small', 'aspect_ratio', 'animated'
        )
)

select
    'broken' as measure,
    batch as slice,
    avg(is_broken::int) as metric,
    count(*) as n
from fetched
group by batch
