-- Did the captioner write nothing that is a sentence?
-- reads candidate; returns number and value of the offenders
select
    rowid as number,
    1 as value
from candidate
where degenerate
