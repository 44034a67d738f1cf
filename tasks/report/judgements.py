"""The sections about models: what they say of pairs, how right that is, how they were made."""

from tasks.report import drawings
from tasks.report.figures import Figure, Section, figure_for_each
from tasks.report.missing import (
    NO_CANARY,
    NO_EVALUATION,
    NO_MACHINE,
    NO_RBM,
    NO_SCORES,
    NO_SELECTION,
    NO_TRAINING,
    NO_TRUTH,
)

LOSSES = {"loss": "Total loss", "itc": "ITC loss", "itm": "ITM loss", "lm": "LM loss"}
SCORES = {
    "cider_d": "CIDEr-D of captions",
    "bleu_4": "BLEU-4 of captions",
    "self_r1": "Own caption finds its picture, R@1",
    "itm_tr_r1": "Picture to text, R@1 by ITM",
    "itm_ir_r1": "Text to picture, R@1 by ITM",
    "itm_ir_r5": "Text to picture, R@5 by ITM",
}

PAIRS = Section(
    name="pairs",
    title="Pairs",
    intro="What the models say of picture and text together. The dashed line is the threshold of "
    "this selection; another one costs a query, not a GPU.",
    missing=NO_SCORES,
    figures=(
        Figure(
            name="itm",
            title="ITM probability",
            statement="reports/score_hist",
            reading="The matching head's probability that text and picture belong together.",
            draw=drawings.itm_histogram,
            only=("signal", "itm_probability"),
        ),
        Figure(
            name="itm-sweep",
            title="What another threshold would keep",
            statement="reports/threshold_sweep",
            draw=drawings.sweep,
        ),
        Figure(
            name="itc",
            title="ITC cosine",
            statement="reports/score_hist",
            reading="Cosine of the two embeddings.",
            draw=drawings.histogram("ITC cosine"),
            only=("signal", "itc_cosine"),
        ),
        Figure(
            name="itm-by-itc",
            title="ITM against ITC",
            statement="reports/itm_by_itc",
            reading="The darker a cell, the more pairs; far from the diagonal the two disagree.",
            draw=drawings.heat,
        ),
        Figure(
            name="rbm-pmi",
            title="PMI by the RBM",
            statement="reports/pmi_hist",
            reading="How much the text says about its picture, in nats.",
            draw=drawings.histogram("nats"),
            only=("signal", "rbm_pmi"),
            missing=NO_RBM,
        ),
        Figure(
            name="gaussian-pmi",
            title="PMI by a full Gaussian",
            statement="reports/pmi_hist",
            reading="The baseline of the RBM, in closed form, in nats.",
            draw=drawings.histogram("nats"),
            only=("signal", "gaussian_pmi"),
            missing=NO_RBM,
        ),
    ),
)

CANARY = Section(
    name="canary",
    title="Canary",
    intro="Texts of which it is known what is wrong: by them the selection is marked like an exam.",
    missing=NO_TRUTH,
    figures=(
        Figure(
            name="filter-truth",
            title="Kept and dropped, by kind of noise",
            statement="reports/filter_truth",
            reading="Kind none is right; all the others should be dropped.",
            draw=drawings.truth,
        ),
        Figure(
            name="auc",
            title="How well each signal ranks",
            statement="reports/auc",
            reading="Probability that a right text scores above a wrong one: 0.5 is chance.",
            draw=drawings.auc,
        ),
        Figure(
            name="calibration",
            title="How much an ITM probability means",
            statement="reports/calibration",
            reading="Share of right texts among those of about this probability; on the dashed "
            "line both are the same.",
            draw=drawings.calibration,
        ),
        Figure(
            name="canary-kinds",
            title="The canary, by kind of noise",
            statement="reports/canary",
            reading="Pairs whose truth is known beforehand, judged in the same job by the same "
            "filter: the shipped ones are of drawings, or your own. Below 0.5 is called noise.",
            missing=NO_CANARY,
        ),
        Figure(
            name="canary-jobs",
            title="The canary in every capfilt job",
            statement="reports/canary_jobs",
            reading="Precision and recall of calling a pair noise, job by job.",
            missing=NO_CANARY,
        ),
        Figure(
            name="canary-runs",
            title="Earlier runs",
            statement="reports/canary_runs",
            reading="What each run's gates measured; noise_recall is at the selection's threshold.",
        ),
    ),
)

TRAINING = Section(
    name="training",
    title="Training",
    intro="How the losses fell.",
    missing=NO_TRAINING,
    figures=figure_for_each(
        "name",
        LOSSES,
        name="curve",
        statement="reports/training",
        draw=drawings.training,
    ),
)

EVALUATION = Section(
    name="evaluation",
    title="Evaluation",
    intro="On pictures that were never trained on, with the interval that holds 95 of 100 "
    "resamples, beside chance and the caption of the nearest neighbour.",
    missing=NO_EVALUATION,
    figures=(
        Figure(
            name="score-table",
            title="All scores",
            statement="reports/evaluation_table",
            reading="TR finds the texts of a picture, IR the picture of a text, self that of "
            "the model's own caption; each among the whole evaluation batch.",
        ),
        *figure_for_each(
            "score",
            SCORES,
            name="score",
            statement="reports/evaluation",
            draw=drawings.evaluation,
        ),
    ),
)

MACHINE = Section(
    name="rbm",
    title="RBM",
    intro="What the machine over the embeddings is worth, on held-out pairs and in nats.",
    missing=NO_MACHINE,
    figures=(
        Figure(
            name="rbm-metrics",
            title="Metrics",
            statement="reports/rbm_metrics",
            reading="Nats over the full Gaussian say whether it knows more than covariances; where "
            "the bracket does not close, its likelihood is not to be trusted.",
        ),
    ),
)

LINEAGE = Section(
    name="lineage",
    title="Lineage",
    intro="Which model was trained on which selection, and which runs wrote and judged its texts.",
    missing=NO_TRAINING,
    figures=(
        Figure(
            name="models",
            title="Models and the selections they were trained on",
            statement="reports/lineage",
        ),
        Figure(
            name="selections",
            title="Selections",
            statement="reports/selections",
            columns=(
                "id",
                "policy",
                "captions",
                "selected",
                "share",
                "batches",
                "caption_runs",
                "score_run",
                "rbm_run",
                "evaluation_batches",
                "written_at",
            ),
            missing=NO_SELECTION,
        ),
    ),
)
