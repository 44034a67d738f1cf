"""`prefect deployment run capfilt`: the bare name of a stage stands for `capfilt/capfilt`.

Prefect wants `<flow>/<deployment>` on its command line. Every flow here has one deployment of the
same name, so this hook, which Prefect calls when it is imported (entry point `prefect.plugins`,
`[tool.prefect] plugins.enabled`), writes the long form before the command line is parsed. It runs
in every process that imports Prefect, so it imports nothing of ours.
"""

import sys

from prefect.plugins import register_hook

DEPLOYMENTS = frozenset(
    {
        "ingestion",
        "pretraining",
        "finetuning",
        "capfilt",
        "capfilt_group",
        "selection",
        "embedding",
        "rbm",
        "reranking",
        "evaluation",
        "quality",
        "publish",
        "sweep",
        "pipeline",
        "rounds",
    }
)
COMMANDS = frozenset({"run", "inspect", "delete"})
FLAGS = frozenset({"--watch", "--no-watch"})  # options that take no value


def with_full_names(arguments: list[str]) -> list[str]:
    """Return the command line with the first bare deployment name written out.

    Only the positional name of `prefect deployment run|inspect|delete` is touched: a value such as
    `--param run=capfilt` or `--tag capfilt` stays as it is.
    """
    if len(arguments) < 4 or arguments[1] != "deployment" or arguments[2] not in COMMANDS:
        return arguments
    for position in range(3, len(arguments)):
        before = arguments[position - 1]
        is_value = before.startswith("-") and "=" not in before and before not in FLAGS
        if arguments[position] in DEPLOYMENTS and not is_value:
            name = arguments[position]
            return [*arguments[:position], f"{name}/{name}", *arguments[position + 1 :]]
    return arguments


@register_hook
def setup_environment(*, ctx: object) -> None:  # noqa: ARG001  # Prefect names the hook's argument
    """Rewrite `sys.argv` in place; called by Prefect at import."""
    sys.argv[:] = with_full_names(sys.argv)
