-- Was the text written by a source this policy does not train on?
-- reads candidate; returns number of the offenders
select
    rowid as number
from candidate
where source not in (select source from policy)
