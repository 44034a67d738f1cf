-- Is the text a file name?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    1 as value
from candidate
where is_filename
