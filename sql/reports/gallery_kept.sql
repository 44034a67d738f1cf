-- What does a random dozen of the selection $selection look like?
-- reads sample_final; returns batch and key; a key is a hash, so its order is chance, and the same each time
select distinct
    '' as kind,
    batch,
    key
from sample_final
where selection = $selection and kept
order by key, batch
limit $most
