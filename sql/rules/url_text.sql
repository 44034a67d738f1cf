-- Does the text hold an address?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    1 as value
from candidate
where url_in_text
