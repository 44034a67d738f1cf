-- Is the picture a copy of another one that is kept?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    duplicate_distance as value
from candidate
where keeper is not null
