"""A stage's bare name on Prefect's command line means its deployment, and nothing else changes."""

import pytest

from flows.bare_names import with_full_names


def command(line: str) -> list[str]:
    return line.split()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("prefect deployment run capfilt", "prefect deployment run capfilt/capfilt"),
        ("prefect deployment inspect rbm", "prefect deployment inspect rbm/rbm"),
        (
            "prefect deployment run capfilt --param batch=capfilt --watch",
            "prefect deployment run capfilt/capfilt --param batch=capfilt --watch",
        ),
        (
            "prefect deployment run --watch sweep",
            "prefect deployment run --watch sweep/sweep",
        ),
        (
            "prefect deployment run --tag capfilt pipeline",
            "prefect deployment run --tag capfilt pipeline/pipeline",
        ),
    ],
)
def test_a_bare_name_is_written_out(typed: str, meant: str) -> None:
    assert with_full_names(command(typed)) == command(meant)


@pytest.mark.parametrize(
    "typed",
    [
        "prefect deployment run capfilt/capfilt",
        "prefect deployment run somebody-elses",
        "prefect deployment ls",
        "prefect deployment run --param capfilt",
        "prefect work-pool inspect capfilt",
        "prefect",
        "python -m flows.demo --site capfilt",
    ],
)
def test_every_other_command_line_stays_as_it_is(typed: str) -> None:
    assert with_full_names(command(typed)) == command(typed)
