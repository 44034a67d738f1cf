-- How many rows has each table?
-- reads the database's own catalogue; returns table_name and n
select
    table_name,
    estimated_size as n
from duckdb_tables()
where not internal
order by table_name
