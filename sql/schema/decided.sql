-- Which selections does sample_final hold?
-- reads sample_final; returns their ids
select distinct selection
from sample_final
