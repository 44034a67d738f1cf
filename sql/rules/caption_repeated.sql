-- Does the same text stand under so many pictures that it cannot describe them?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    repeats as value,
    repeats_allowed as threshold
from candidate
where repeats >= repeats_allowed
