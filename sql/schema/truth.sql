-- What is known to be right or wrong about web texts?
-- reads raw_truth; returns a row a planted picture, with its batch from the path
select
    split_part(parse_path(path)[-1], '.', 1) as batch,
    key,
    url,
    text,
    right_text,
    noise,
    is_noise
from raw_truth
