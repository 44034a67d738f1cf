-- What has every check of the gates found?
-- reads raw_measurement, gate_check; returns a row a check, gate, measure and slice, the check from the path
select
    parse_path(path)[-2] as check_id,
    raw_measurement.* exclude (path)
from raw_measurement
where parse_path(path)[-2] in (select id from gate_check)
