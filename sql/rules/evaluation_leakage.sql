-- Is the picture one of those the models are judged on?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    leakage_distance as value,
    $leakage_distance as threshold
from candidate
where leakage_distance <= $leakage_distance
