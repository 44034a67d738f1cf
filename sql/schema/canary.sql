-- What did each job's filter say of texts whose truth is known beforehand?
-- reads raw_canary; returns a row a pair of the canary and scoring run
select * exclude (path)
from raw_canary
