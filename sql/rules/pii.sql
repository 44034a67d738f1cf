-- Does the text hold an e-mail address or a telephone number?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    1 as value
from candidate
where pii_flag
