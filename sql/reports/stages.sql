-- What did every stage do, and how long did it take?
-- reads v_stages; returns a row a stage and run, the earliest first
select
    stage,
    run,
    shards,
    n_in,
    n_out,
    yield,
    seconds,
    per_second,
    bytes,
    last_commit
from v_stages
order by first_commit, stage, run
