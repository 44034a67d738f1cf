-- Is a picture that has grey levels without an edge?
-- reads candidate; returns number, value and threshold of the offenders
-- flat drawings have no edges either and are sharp, hence the entropy
select
    rowid as number,
    lap_var as value,
    $min_lap_var as threshold
from candidate
where lap_var < $min_lap_var and entropy >= $sharp_entropy
