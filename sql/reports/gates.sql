-- Which gates are red?
-- reads v_gate_status; returns its rows, the worst first
from v_gate_status
