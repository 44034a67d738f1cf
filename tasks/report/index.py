"""The page over all reports of a lake, the newest first."""

from tasks.report.page import rendered
from tasks.storage import Lake

INDEX = "reports/index.html"


def write_index(lake: Lake) -> str:
    """Write the page that lists every finished report; return its path in the lake."""
    found = [
        lake.read_json(path)
        for path in lake.glob("reports/*/report.json")
        if lake.exists(path.replace("report.json", "report.html"))
    ]
    newest_first = sorted(found, key=lambda one: (one["written_at"], one["run"]), reverse=True)
    lake.publish_bytes(INDEX, rendered("index.html.j2", reports=newest_first).encode())
    return INDEX
