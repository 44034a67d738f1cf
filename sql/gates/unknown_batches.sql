-- Which batches are the gates to judge that the lake does not hold?
-- reads concerned_batch; returns those of $batches that are not among them
select asked.batch
from unnest($batches::varchar[]) as asked (batch)
left join concerned_batch using (batch)
where concerned_batch.batch is null
