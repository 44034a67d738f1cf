"""The sections of a report, in the order in which a person asks: is it well, how much, why, who."""

from tasks.report import drawings
from tasks.report.figures import Figure, Section, figure_for_each
from tasks.report.judgements import CANARY, EVALUATION, LINEAGE, MACHINE, PAIRS, TRAINING
from tasks.report.missing import NO_SELECTION

IMAGE_SIGNALS = {
    "sharpness": "Sharpness",
    "entropy": "Detail",
    "brightness": "Light",
    "short_side": "Size",
}

GATES = Section(
    name="gates",
    title="Gates",
    intro="Numbers that must lie between limits before a model may be trained on them; "
    "the worst first. What is compared is held against the last green run of this lake.",
    figures=(
        Figure(
            name="gate-verdicts",
            title="Verdicts",
            statement="reports/gates",
            columns=(
                "gate",
                "status",
                "metric",
                "title",
                "slice",
                "n",
                "warn_low",
                "fail_low",
                "warn_high",
                "fail_high",
                "override_by",
                "override_why",
                "why",
            ),
            folded=("status", ("pass", "not measured")),
        ),
        Figure(
            name="overrides",
            title="Overrides",
            statement="reports/overrides",
            reading="Who let a run go on although a gate failed.",
            missing="Nobody has overridden a gate.",
        ),
        Figure(
            name="gate-runs",
            title="Runs",
            statement="reports/gate_runs",
            reading="How the gates of each run ended; the next is held against the last green one.",
            missing="No run's gates have been recorded yet.",
        ),
    ),
)

FUNNEL = Section(
    name="funnel",
    title="Funnel",
    intro="How many pictures get how far, and what happened to the others.",
    missing=NO_SELECTION,
    figures=(
        Figure(
            name="funnel-steps",
            title="From candidate to training",
            statement="reports/funnel",
            reading="Pictures left after each step, and their share of the candidates.",
            draw=drawings.funnel,
        ),
        Figure(
            name="keep-rates",
            title="Texts kept",
            statement="reports/keep_rates",
            reading="Share of the texts of each source that the selection holds.",
            draw=drawings.keep_rates,
        ),
        Figure(
            name="outcomes",
            title="Candidates that gave no picture",
            statement="reports/outcomes",
            reading="Dead links, refusals, broken and tiny pictures: each attempt has one outcome.",
            draw=drawings.outcomes,
            missing="Every candidate was kept, or none was attempted yet.",
        ),
        Figure(
            name="stages",
            title="Stages",
            statement="reports/stages",
            reading="What each stage read and wrote, by its commit records.",
            missing="No stage has committed a shard yet.",
        ),
    ),
)

REASONS = Section(
    name="reasons",
    title="Why dropped",
    intro="Every cheap rule looks at every caption, so each reason has three counts: captions it "
    "finds, captions it is the first to drop, captions that it alone drops.",
    missing=NO_SELECTION,
    figures=(
        Figure(
            name="first-reasons",
            title="First reason",
            statement="reports/reasons",
            reading="Captions whose first reason this is, by who wrote them.",
            draw=drawings.reasons,
        ),
        Figure(
            name="unique-reasons",
            title="Only reason",
            statement="reports/reasons",
            reading="A rule with no caption of its own could go and nothing would change.",
            draw=drawings.unique_reasons,
        ),
        Figure(
            name="reason-sets",
            title="Reasons that come together",
            statement="reports/reason_sets",
        ),
    ),
)

TEXTS = Section(
    name="texts",
    title="Texts",
    intro="What the words look like before any model has judged them.",
    missing=NO_SELECTION,
    figures=(
        Figure(
            name="caption-lengths",
            title="Length",
            statement="reports/caption_lengths",
            reading="Words a caption, as a share of its source; 40 stands for 40 and more.",
            draw=drawings.histogram("words"),
        ),
        Figure(
            name="languages",
            title="Language",
            statement="reports/languages",
            reading="As the detector sees it; on few words it often errs.",
            draw=drawings.languages,
            missing="Not measured yet: nothing has been ingested.",
        ),
        Figure(
            name="repeated-texts",
            title="Texts under many pictures",
            statement="reports/repeated",
            reading="The most repeated first.",
            missing="No text stands under five pictures or more.",
        ),
    ),
)

IMAGES = Section(
    name="images",
    title="Pictures",
    intro="Signals of the kept pictures of all batches, computed when they were decoded.",
    missing="Not measured yet: no picture has been kept.",
    figures=figure_for_each(
        "signal",
        IMAGE_SIGNALS,
        name="image",
        statement="reports/image_signals",
        draw=drawings.image_signal,
    ),
)

SOURCES = Section(
    name="sources",
    title="Sources",
    intro="Where web texts come from, and which sites and shards are worse than the others.",
    missing=NO_SELECTION,
    figures=(
        Figure(
            name="domains",
            title="Web text dropped, by domain",
            statement="reports/domains",
            reading="The largest domains first.",
            draw=drawings.domains,
        ),
        Figure(
            name="shards",
            title="Shards that keep least",
            statement="reports/shards",
            reading="robust_z counts spreads from the median shard of the batch.",
        ),
    ),
)

DRIFT = Section(
    name="drift",
    title="Drift",
    intro="Whether the web has changed since the last green run, or within this crawl.",
    missing="Not measured: there is no earlier green run in this lake.",
    figures=(
        Figure(
            name="drift-since",
            title="Since the last green run",
            statement="reports/drift_since",
            reading="Population stability index of each signal over the deciles of then, and the "
            "share of texts whose language changed; above 0.1 look, above 0.25 the source has "
            "changed.",
            draw=drawings.drift_since,
        ),
        *figure_for_each(
            "place",
            {str(place): f"Moved most: {place} of 5" for place in range(1, 6)},
            name="moved",
            statement="reports/drift_deciles",
            draw=drawings.deciles,
            is_optional=True,
        ),
        Figure(
            name="drift-within",
            title="Within a crawl",
            statement="reports/drift",
            reading="Population stability index between the first half of a batch's shards and the "
            "second; above 0.1 look, above 0.25 the source has changed. A hundred rows a half "
            "are too few to tell.",
            draw=drawings.drift,
            missing="Not measured: no batch of web pages has two shards.",
        ),
    ),
)

BEFORE_GALLERIES = (GATES, FUNNEL, REASONS, TEXTS, IMAGES, PAIRS, SOURCES, DRIFT, CANARY)
AFTER_GALLERIES = (TRAINING, EVALUATION, MACHINE, LINEAGE)
