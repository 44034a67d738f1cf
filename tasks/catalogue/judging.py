"""What the gates measure in an open catalogue, and what their limits make of it."""

from sql.statements import names
from tasks.database import Database


def begin(database: Database) -> None:
    """Make the tables that views name, with nothing measured yet."""
    database.create("gate", "gates/limits")
    database.create("measurement", "gates/measurements")
    database.create("gate_result", "gates/result")


def judge(database: Database) -> None:
    """Run every check and hold what it measures against the limits of its gate."""
    for name in names("checks"):
        database.append("measurement", name, name.removeprefix("checks/"), column="gate")
    database.create("gate_result", "gates/result")
