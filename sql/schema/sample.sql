-- Which candidates were attempted, and what became of each?
-- reads raw_web; returns a row a candidate
select * exclude (texts, path)
from raw_web
