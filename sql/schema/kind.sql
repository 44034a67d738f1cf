-- Is this name a table or a view?
-- reads the database's own catalogue; returns table_type
select table_type
from information_schema.tables
where table_name = $table
