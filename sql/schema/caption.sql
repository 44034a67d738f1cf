-- Which texts does each picture have, from the web, from people and from captioners?
-- reads raw_caption; returns a row a text
select * exclude (path)
from raw_caption
