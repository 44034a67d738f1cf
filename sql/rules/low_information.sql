-- Does the picture hold almost no grey levels?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    entropy as value,
    $min_entropy as threshold
from candidate
where entropy < $min_entropy
