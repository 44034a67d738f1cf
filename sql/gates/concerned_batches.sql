-- Which batches do the gates judge?
-- reads planned; returns those of $batches, or all when it is empty
select distinct batch
from planned
where len($batches::varchar[]) = 0 or list_contains($batches::varchar[], batch)
