-- What did each model say of each text?
-- reads raw_score; returns a row a text and scoring run
select * exclude (path)
from raw_score
