-- How many pictures are compared, and how many of them are new?
-- reads picture; returns one row
select
    count(*) as pictures,
    count(*) filter (is_new) as new_pictures
from picture
