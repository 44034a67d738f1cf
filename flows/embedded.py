"""Prefect inside a command of ours: its settings, and whose lines a person reads."""

from prefect.context import refresh_global_settings_context
from prefect.logging.configuration import setup_logging

from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
from tasks.commands import show_our_lines


def embed_prefect() -> None:
    """Give Prefect our defaults, missed at its import, and leave the speaking to us."""
    set_defaults(PREFECT_DEFAULTS, QUIET)
    refresh_global_settings_context()
    setup_logging()
    show_our_lines()  # what Prefect arranged at its import is quiet now
