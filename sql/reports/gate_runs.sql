-- How did the gates of earlier runs end?
-- reads gate_check; returns the last check of each run, the newest first
select
    run,
    checked_at,
    is_green,
    failed,
    warned,
    baselines as held_against,
    revision
from gate_check
qualify row_number() over (partition by run order by checked_at desc, id desc) = 1
order by checked_at desc, run
