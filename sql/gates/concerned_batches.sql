-- Which batches do the gates judge?
-- reads planned, stage_run; returns those of $batches that the lake holds, or all when it is empty
with

held as (
    select batch from planned
    union
    select batch from stage_run
)

select batch
from held
where len($batches::varchar[]) = 0 or list_contains($batches::varchar[], batch)
