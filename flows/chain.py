"""The stages of one run, each a step that remembers what the next ones need."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from flows.capfilt import capfilt
from flows.embedding import embedding
from flows.environment import revision, this_machine
from flows.evaluation import evaluation, judge_filter
from flows.finetuning import finetuning
from flows.ingestion import ingestion
from flows.plan import Plan
from flows.pretraining import pretraining
from flows.rbm import rbm
from flows.registration import candidates, register
from flows.selection import selection
from flows.summary import PipelineResult, Story
from tasks.capfilt.settings import INGESTED
from tasks.catalogue.verdicts import Check
from tasks.evaluation.report import compare, read_report
from tasks.keeping import Accepted, accepted_of_batch
from tasks.selection import SelectionCard, Thresholds
from tasks.storage import Lake


@dataclass(slots=True)
class Chain:
    """A run under way: its plan, its lake, and what each stage has handed back.

    Attributes:
        plan: every choice.
        lake: where everything is kept.
        run: the pipeline run's name.
        story: the rows of the summary.
        selections: cards by name: raw, human, kept.
        models: addresses by name: raw, captioner, filter, selected, rbm.
        runs: run names by what they hold: captions, scores, vectors, evaluations …
        found: what was measured: accepted, filter, rbm, scores, against_raw, rounds.
        registered: version and alias of each registered model.
    """

    plan: Plan
    lake: Lake
    run: str
    story: Story = field(init=False)
    selections: dict[str, SelectionCard] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.story = Story(self.lake, self.run)

    def ingest(self) -> None:
        """Fetch the web, the seed and the held-out pictures."""
        for source in (self.plan.web, self.plan.seed, self.plan.held_out):
            places = ", ".join([*source.pages, *source.tables])
            self.story.begin(f"ingestion {source.batch}", places)
            done = ingestion(source, self.plan.ingestion, self.lake.root)
            twins = f"{done['duplicates']} repeat another"
            self.story.tell(
                f"ingestion {source.batch}", int(done["planned"]), int(done["kept"]), twins
            )

    def check(self) -> Check:
        """Return what the gates judge: the batches of the plan, and what this run made of them."""
        plan = self.plan
        made = [card.id for card in self.selections.values()]
        return Check(
            run=self.run,
            batches=(plan.web.batch, plan.seed.batch, plan.held_out.batch),
            runs=(INGESTED, *made, *self.runs.values()),
            budget_s=plan.budget_s,
            overrides=plan.override,
        )

    def select_unjudged(self, name: str, policy: str, batch: str) -> None:
        """Choose captions of a batch without a model's judgement.

        Of the plan's thresholds only leakage counts here: another ITM threshold must not train the
        model of the raw pairs again.
        """
        bits = self.plan.selection.thresholds.leakage_distance
        self._select(name, policy, batch, thresholds=Thresholds(leakage_distance=bits))

    def select_judged(self, name: str) -> None:
        """Choose captions of the web by the plan's policy and the filter's scores."""
        written, scores = self.runs["captions"], self.runs["scores"]
        policy, web = self.plan.selection.policy, self.plan.web.batch
        self._select(name, policy, web, caption_runs=(written,), score_run=scores)

    def _select(self, name: str, policy: str, batch: str, **changes: Any) -> None:
        held_out = (self.plan.held_out.batch,)
        chosen: dict[str, Any] = {"batches": (batch,), "evaluation_batches": held_out, **changes}
        card = selection(replace(self.plan.selection, policy=policy, **chosen), self.lake.root)
        self.selections[name] = card
        counts = card.counts
        self.story.tell(f"selection {policy}", counts["captions"], counts["selected"], _rates(card))

    def pretrain(self, name: str, *selections: str) -> None:
        """Train a model on some of the selections."""
        cards = [self.selections[one] for one in selections]
        ids = tuple(card.id for card in cards)
        seen, how = sum(card.counts["selected"] for card in cards), self.plan.pretraining
        self.story.begin(f"pretraining {name}", f"a {how.preset} BLIP on {seen:,} captions")
        self.models[name] = pretraining(ids, how, self.lake.root)
        self.story.tell(f"pretraining {name}", seen, note=f"{how.preset}, {how.steps:,} steps")

    def finetune(self, start: str) -> None:
        """Make the captioner and the filter out of a model and the human captions."""
        human = self.selections["human"]
        seen = human.counts["selected"]
        self.story.begin("finetuning", f"captioner and filter on {seen:,} human captions")
        halves = finetuning(
            self.models[start], (human.id,), self.plan.captioner, self.plan.filter, self.lake.root
        )
        self.models |= halves
        self.story.tell("finetuning", seen, note="captioner and filter")

    def caption_and_score(self) -> None:
        """Let the captioner write for every web picture and the filter judge every text."""
        writer, judge = self.models["captioner"], self.models["filter"]
        batch = self.plan.web.batch
        self.story.begin("capfilt", "a caption for every picture, a score for every text")
        done = capfilt(batch, writer, judge, self.plan.capfilt, self.lake.root)
        self.runs |= {"captions": done["captions"], "scores": done["scores"]}
        self.found["filter"] = judge_filter(self.lake, done["scores"], batch)
        threshold = self.plan.selection.thresholds.itm_probability
        runs = (INGESTED, done["captions"])
        self.found["accepted"] = accepted_of_batch(
            self.lake, batch, runs, done["scores"], threshold
        )
        written = self._rows("captioning", done["captions"], "captions")
        scores = self._rows("scoring", done["scores"], "scores")
        self.story.tell("capfilt", written, scores, _rejected(self.found["accepted"]))

    def fit_rbm(self, model: str, selected: str) -> None:
        """Fit an RBM on the vectors of what was selected, and rank every pair of the web by it."""
        batches, address = (self.plan.web.batch,), self.models[model]
        self.story.begin("embedding and rbm", "vectors of every pair, and a machine over them")
        fitted_on = embedding(batches, address, self.selections[selected].id, lake=self.lake.root)
        everything = (INGESTED, self.runs["captions"])
        ranked = embedding(batches, address, everything, lake=self.lake.root)
        self.story.tell("embedding", None, self._rows("embedding", ranked, "vectors"))
        done = rbm(fitted_on, batches, ranked, self.plan.rbm, False, self.lake.root)
        self.runs |= {"vectors": ranked, "rbm": done["run"]}
        self.models["rbm"] = f"rbms/{done['run']}"
        self.found["rbm"] = done["metrics"]
        gain = f"{done['metrics']['nats_over_full_gaussian']:+.2f} nats over the full Gaussian"
        self.story.tell("rbm", self._rows("embedding", fitted_on, "vectors"), note=gain)

    def evaluate(self, *names: str) -> None:
        """Score models on the held-out pictures, and what selecting is worth against raw pairs."""
        scores = self.found.setdefault("scores", {})
        for name in names:
            batch = self.plan.held_out.batch
            self.story.begin(f"evaluation {name}", "captions and retrieval on held-out pictures")
            run = evaluation(self.models[name], batch, self.plan.evaluation, self.lake.root)
            report = read_report(self.lake, run)
            scores[name] = asdict(report)
            self.runs[f"evaluation {name}"] = run
            self.story.tell(f"evaluation {name}", report.images)

    def compare_with_raw(self) -> None:
        """Find how much better the newest model of selected pairs is than that of the raw ones."""
        raw, chosen = (
            read_report(self.lake, self.runs[f"evaluation {name}"]) for name in ("raw", "selected")
        )
        self.found["against_raw"] = {
            score: asdict(one) for score, one in compare(self.lake, raw, chosen).items()
        }

    def register(self) -> None:
        """Put the finished models into the registry, and those that pass their gate to use."""
        kept = self.selections["kept"]
        judged = {name: self.runs[f"evaluation {name}"] for name in self.found["scores"]}
        made = candidates(self.lake, self.run, self.models, judged, {kept.id: kept.digest})
        for candidate in made:
            self.registered[candidate.name] = register(self.lake, candidate)
        self.story.tell("registration", rows_out=len(self.registered))

    def result(self, places: dict[str, str]) -> PipelineResult:
        """Return the run's summary."""
        return PipelineResult(
            run=self.run,
            stages=tuple(self.story.rows),
            selections={name: asdict(card) for name, card in self.selections.items()},
            models=self.models,
            runs=self.runs,
            scores=self.found["scores"],
            against_raw=self.found["against_raw"],
            filter=self.found["filter"],
            rbm=self.found["rbm"],
            registered=self.registered,
            rounds=self.found["rounds"],
            places={**places, "registry": this_machine().mlflow_uri(self.lake)},
            revision=revision(),
        )

    def _rows(self, stage: str, run: str, count: str) -> int:
        """Add up one count of a stage's commits over the web batch."""
        shards = self.lake.committed(stage, run, self.plan.web.batch)
        return sum(self.lake.commit_of(stage, run, shard).rows.get(count, 0) for shard in shards)


def _rejected(accepted: Mapping[str, Accepted]) -> str:
    """Return the noise ratios, such as "the filter rejects 23.1 % of synthetic, 41.0 % of web"."""
    shares = [f"{1 - one.share:.1%} of {source}" for source, one in accepted.items()]
    return f"the filter rejects {', '.join(shares)}"


def _rates(card: SelectionCard) -> str:
    """Return the share kept of each source, such as "web 61.2 %, synthetic 88.0 %"."""
    sources: Mapping[str, Mapping[str, float]] = card.sources
    return ", ".join(f"{name} {one['keep_rate']:.1%}" for name, one in sources.items())
