-- Which rules did each caption fail, in each selection?
-- reads raw_decision; returns a row a finding
select * exclude (path)
from raw_decision
