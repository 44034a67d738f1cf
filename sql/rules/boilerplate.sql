-- Is the text a phrase of the site's machinery?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    1 as value
from candidate
where has_stop_phrase
