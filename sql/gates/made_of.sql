-- What is everything that gates measure made of?
-- reads source_file; returns one name of all files as they are now
select md5(string_agg(path || ' ' || mark, chr(10) order by path)) as files
from source_file
