-- Which files was this catalogue made of?
-- reads the ledger source_file; returns path, mark, table and content, in path order
from source_file
order by path
