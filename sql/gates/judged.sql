-- What were the gates measured on?
-- reads judged; returns one name of what was asked, by which statements, and of all files
select key
from judged
