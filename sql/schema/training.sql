-- How did the numbers of each training run move?
-- reads raw_training; returns a row a step and number, with the run from the path
select
    split_part(parse_path(path)[-1], '.', 1) as run,
    step,
    name,
    value
from raw_training
