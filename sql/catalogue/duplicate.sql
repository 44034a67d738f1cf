-- Which pictures repeat another one?
-- reads raw_duplicate; returns a row a duplicate, with its batch from the path
select
    parse_path(path)[-2] as batch,
    key,
    keeper,
    method,
    distance
from raw_duplicate
where key <> keeper
