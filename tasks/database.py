"""The door to DuckDB: statements of `sql/` by name, over the lake's Parquet files.

DuckDB's own S3 extension has to be downloaded; a lake that is not on this disk is therefore read
through its fsspec file system.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sql.statements import statement
from tasks.errors import LakeError
from tasks.older import LATER
from tasks.storage import Lake

TYPES = {
    pa.uint64(): "ubigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.string(): "varchar",
    pa.bool_(): "boolean",
    pa.timestamp("ms", tz="UTC"): "timestamptz",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}
DatabaseError = duckdb.Error
PARAMETER = re.compile(r"\$([a-z_]+)")


class Database:
    """One DuckDB connection that runs the statements of `sql/` by name.

    Args:
        path: a database file; empty means in memory.
        memory_limit: such as "4GB"; empty leaves DuckDB's default, 80 % of the machine.
        read_only: open an existing file beside other readers.
    """

    def __init__(
        self, path: str | Path = "", *, memory_limit: str = "", read_only: bool = False
    ) -> None:
        self.connection = duckdb.connect(str(path) or ":memory:", read_only=read_only)
        self._known: dict[str, str] = {}  # column -> the type of its values
        if not read_only:
            # Statements say in which order rows come; keeping that of the files costs memory.
            self.connection.execute("set preserve_insertion_order = false")
        if not path:  # a checkpoint of what is only in memory moves a million rows for nothing
            self.connection.execute("set checkpoint_threshold = '1TB'")
        if memory_limit:
            self.connection.execute("set memory_limit = $limit", {"limit": memory_limit})

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a file is whole after it."""
        self.connection.close()

    def run(self, name: str, **parameters: Any) -> None:
        """Run a statement for what it changes."""
        self._execute(name, statement(name), parameters)

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        return self.ask(statement(name), **parameters)

    def ask(self, question: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a question written elsewhere, such as by a person, and return its rows."""
        # execute() streams and owns the connection until it is drained: fetch at once.
        cursor = self.connection.execute(question, _used(question, parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def table(self, name: str, **parameters: Any) -> pa.Table:
        """Run a statement and return its rows as an Arrow table."""
        text = statement(name)
        return self.connection.sql(text, params=_used(text, parameters)).to_arrow_table()

    def batches(self, name: str, **parameters: Any) -> Iterator[pa.RecordBatch]:
        """Run a statement and yield its rows as they come, however many there are."""
        text = statement(name)
        yield from self.connection.sql(text, params=_used(text, parameters)).to_arrow_reader()

    def stream(self, question: str) -> Iterator[pa.RecordBatch]:
        """Run a question written elsewhere and yield its rows as they come."""
        yield from self.connection.sql(question).to_arrow_reader()

    def create(self, table: str, name: str, **parameters: Any) -> None:
        """Make a table of a statement's rows."""
        text = statement(name)
        filled = f"create or replace table {_quoted(table)} as\n{text}"
        self._execute(name, filled, parameters)

    def insert(self, table: str, name: str, **parameters: Any) -> None:
        """Add a statement's rows to a table, and make it if it is not there."""
        if not self.has(table):
            self.create(table, name, **parameters)
            return
        text = statement(name)
        self._execute(name, f"insert into {_quoted(table)} by name\n{text}", parameters)

    def has(self, table: str) -> bool:
        """True when there is a table or view of this name."""
        return bool(self.rows("schema/kind", table=table))

    def append(
        self, table: str, name: str, label: str, *, column: str = "rule", **parameters: Any
    ) -> None:
        """Add a statement's rows to a table, with `label` in a column of theirs."""
        text = statement(name).rstrip().rstrip(";")
        filled = (
            f"insert into {_quoted(table)} by name\n"
            f"select $label as {_quoted(column)}, found.* from (\n{text}\n) as found"
        )
        self._execute(name, filled, {"label": label, **parameters})

    def know(self, column: str, values: Iterable[str]) -> None:
        """Keep a text column of the tables loaded from now on as numbers, in the order of its text.

        Sorting by two such columns and a third takes half the time of sorting by three texts. A
        table that holds another value, or comes from files of unlike columns, keeps the text.
        """
        listed = ", ".join(_literal(value) for value in sorted(set(values)))
        if listed:
            self._known[column] = f"{column}_known"
            self.connection.execute(
                f"create type {_quoted(self._known[column])} as enum ({listed})"
            )

    def load(
        self,
        table: str,
        lake: Lake,
        files: Sequence[str],
        schema: pa.Schema,
        *,
        as_view: bool = False,
    ) -> None:
        """Make a table, or a view, of Parquet files, with a column `path`; empty without files.

        A lake in which a stage has not run yet is as good as any: its tables are empty. In one
        that is older than a column of LATER, the column is null.

        Raises:
            LakeError: a file is missing, damaged, or lacks a column.
        """
        if not files:
            # Not by an empty table of Arrow's: making one imports pandas, a third of a second.
            columns = [f"{_quoted(one.name)} {_type_of(one.type)}" for one in schema]
            listed = ", ".join([*columns, "path varchar"])
            self.connection.execute(f"create or replace table {_quoted(table)} ({listed})")
            return
        try:
            self._take(table, lake, files, schema, as_view=as_view)
        except duckdb.Error as error:
            raise LakeError(
                f"the table {table} cannot be read from {len(files)} Parquet files of {lake.root} "
                f"({self._culprit(lake, files, schema) or _first_line(error)}); remove the damaged "
                "file with its commit record and run its stage again"
            ) from error

    def _take(
        self, table: str, lake: Lake, files: Sequence[str], schema: pa.Schema, *, as_view: bool
    ) -> None:
        """Make a table or view of files, by the columns of the first one where it has all of ours.

        Looking up the columns of each takes as long as reading a few: that is left to views, which
        are read later, and to lakes of which some files are older than a column.
        """
        for union in (True,) if as_view else (False, True):
            read = self._parquet(lake, files, union=union)
            if not union and not set(schema.names) <= set(read.columns):
                continue
            known = {} if union else self._known
            columns = ", ".join(_column(name, read.columns, known) for name in schema.names)
            found = read.project(f"{columns}, filename as path")
            try:
                found.create_view(table) if as_view else found.create(table)
            except duckdb.Error:  # a later file lacks a column, says what nobody knew, is damaged
                if union:
                    raise
            else:
                return

    def _culprit(self, lake: Lake, files: Sequence[str], schema: pa.Schema) -> str:
        """Return the first file that cannot be read, with the reason; nothing when all can."""
        for file in files:
            try:
                read = self._parquet(lake, [file])
                read.project(", ".join(_column(name, read.columns, {}) for name in schema.names))
            except duckdb.Error as error:
                return f"{file}: {_first_line(error)}"
        return ""

    def keep(self, table: str, content: pa.Table) -> None:
        """Make a table of an Arrow table, in place of one that is there."""
        if self.has(table):
            self.drop(table)
        self.connection.from_arrow(content).create(table)

    def remove(self, table: str, like: pa.Table) -> None:
        """Remove the rows of a table that have the values of a row of `like` in its columns."""
        named = ", ".join(_quoted(name) for name in like.column_names)
        self.connection.register("like_these", like)
        self.connection.execute(
            f"delete from {_quoted(table)} where ({named}) in (select ({named}) from like_these)"
        ).fetchall()
        self.connection.unregister("like_these")

    def drop(self, name: str) -> None:
        """Remove a table or a view."""
        kinds = {"BASE TABLE": "table", "VIEW": "view"}
        (kind,) = (kinds[row["table_type"]] for row in self.rows("schema/kind", table=name))
        self.connection.execute(f"drop {kind} {_quoted(name)}").fetchall()

    def comment(self, kind: str, name: str, text: str) -> None:
        """Say what something holds; kind is column, table, view or macro table."""
        what = ".".join(_quoted(part) for part in name.split("."))
        self.connection.execute(f"comment on {kind} {what} is {_literal(text)}").fetchall()

    def checkpoint(self) -> None:
        """Move everything into the file itself, so that no second file is needed beside it."""
        self.connection.execute("checkpoint").fetchall()

    def _execute(self, name: str, text: str, parameters: dict[str, Any]) -> None:
        try:
            self.connection.execute(text, _used(text, parameters)).fetchall()
        except duckdb.Error as error:
            error.add_note(f"in sql/{name}.sql")
            raise

    def _parquet(self, lake: Lake, files: Sequence[str], *, union: bool = True) -> Any:
        paths = [lake.path(file) for file in files]
        if not lake.is_local:
            file_system = lake.fs
            paths = [str(file_system.unstrip_protocol(path)) for path in paths]
            if not self.connection.filesystem_is_registered(_protocol(file_system)):
                self.connection.register_filesystem(file_system)
        return self.connection.read_parquet(paths, union_by_name=union, filename=True)


def _used(text: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters a statement names: DuckDB refuses any other."""
    named = set(PARAMETER.findall(text))
    return {name: value for name, value in parameters.items() if name in named}


def _column(name: str, there: Sequence[str], known: Mapping[str, str]) -> str:
    if name in LATER and name not in there:
        return f"null::{TYPES[LATER[name]]} as {_quoted(name)}"
    if name in known:
        return f"{_quoted(name)}::{_quoted(known[name])} as {_quoted(name)}"
    return _quoted(name)


def _type_of(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type_of(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"struct({', '.join(f'{_quoted(of.name)} {_type_of(of.type)}' for of in kind)})"
    return TYPES[kind]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _protocol(file_system: Any) -> str:
    protocol = file_system.protocol
    return protocol if isinstance(protocol, str) else str(protocol[0])
