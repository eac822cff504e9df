"""From nothing to an examined demo policy, in stages that resume where a kill left them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from vla_models.demo.corrections import record_corrections
from vla_models.demo.recipe import HELD_OUT, demo_config, reword, weigh
from vla_models.demo.recording import record
from vla_models.evaluate import examine, write_result
from vla_models.evaluation import CONDITIONS
from vla_models.nano.adapter import load
from vla_models.nano.checkpoint import CONFIG, WEIGHTS, load_checkpoint
from vla_models.nano.processor import Statistics
from vla_models.progress import progress_bar
from vla_models.training.augment import Augmentation
from vla_models.training.dataset import Dataset
from vla_models.training.episodes import Episode
from vla_models.training.log import Row, TrainingLog, plot_log, read_log
from vla_models.training.trainer import Trainer, TrainingSettings


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    demonstrations: int
    first: TrainingSettings  # on demonstrations
    corrections: int  # episodes of the policy with the expert's answers
    second: TrainingSettings  # on both, from the first's weights
    held_out: int
    seeds: int  # per task, in the evaluation


FULL = Plan(
    demonstrations=300,
    first=TrainingSettings(steps=3000),
    corrections=120,
    second=TrainingSettings(steps=1500, learning_rate=2.5e-4, seed=1),
    held_out=HELD_OUT,
    seeds=10,
)
_FEW = TrainingSettings(
    steps=4, batch=4, log_every=2, validate_every=4, checkpoint_every=2, warm_up=2
)
QUICK = Plan(
    demonstrations=3, first=_FEW, corrections=1, second=replace(_FEW, seed=1), held_out=1, seeds=0
)


class DemoTraining:
    """The stages, in one folder; the outcome is in its ``result``."""

    def __init__(self, plan: Plan, folder: Path, console: Console, threads: int = 0) -> None:
        self._plan, self._folder, self._console, self._threads = plan, folder, console, threads
        self._config = demo_config()

    @property
    def result(self) -> Path:
        """Where the policy is in the end."""
        return self._folder / "result"

    def run(self) -> None:
        """Do what is not yet done."""
        self._console.print(f"training the demo policy in {self._folder}", highlight=False)
        demonstrations = self._demonstrations()
        held_out = demonstrations[: self._plan.held_out]
        learned = demonstrations[self._plan.held_out :]
        self._train("first", self._plan.first, learned, held_out)
        learned += self._corrections()
        first = load_checkpoint(self._folder / "first")
        self._train(
            "second", self._plan.second, learned, held_out,
            start=first.network.state_dict(), statistics=first.statistics,
        )  # fmt: skip
        self._publish()
        self._examine()

    def _demonstrations(self) -> list[Episode]:
        folder, count = self._folder / "demonstrations", self._plan.demonstrations
        store = self._counted(
            "record demonstrations", count, lambda done: record(folder, count, done)
        )
        return [store.read(number) for number in store.numbers()[:count]]

    def _corrections(self) -> list[Episode]:
        folder, count = self._folder / "corrections", self._plan.corrections
        policy = load(self._folder / "first", self._threads)
        store = self._counted(
            "record corrections",
            count,
            lambda done: record_corrections(policy, folder, count, done),
        )
        return [store.read(number) for number in store.numbers()[:count]]

    def _counted(self, what: str, count: int, work: Callable[[Callable[[int], None]], Any]) -> Any:
        with progress_bar(self._console) as bar:
            task = bar.add_task(what, total=count, note="")
            result = work(lambda _: bar.advance(task))
            bar.update(task, completed=count)
        return result

    def _train(
        self,
        stage: str,
        settings: TrainingSettings,
        learned: Sequence[Episode],
        held_out: Sequence[Episode],
        start: dict[str, Tensor] | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        trainer = Trainer(
            self._config, settings, Dataset(learned, self._config, weigh),
            Dataset(held_out, self._config), self._folder / stage,
            Augmentation(), reword, start, statistics,
        )  # fmt: skip
        with progress_bar(self._console) as bar:
            task = bar.add_task(
                f"train, {stage} stage", total=settings.steps, completed=trainer.step, note=""
            )

            def progress(step: int, row: Row | None) -> None:
                bar.update(task, completed=step)
                if row:
                    bar.update(task, note=f"action error {row.action:.3f}")

            trainer.run(progress)

    def _publish(self) -> None:
        """Collect weights and one log of both stages."""
        self.result.mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS, CONFIG):
            shutil.copyfile(self._folder / "second" / name, self.result / name)
        first = read_log(self._folder / "first" / "training_log.csv")
        second = read_log(self._folder / "second" / "training_log.csv")
        (self.result / "training_log.csv").unlink(missing_ok=True)
        log = TrainingLog(self.result / "training_log.csv")
        for row in first:
            log.append(row)
        for row in second:
            log.append(
                replace(
                    row,
                    step=row.step + first[-1].step,
                    seconds=row.seconds + first[-1].seconds,
                )
            )
        plot_log(log.rows, self.result / "training_log.png")

    def _examine(self) -> None:
        conditions = CONDITIONS if self._plan.seeds else CONDITIONS[:1]
        policy = load(self.result, self._threads)
        result = examine(policy, max(self._plan.seeds, 1), conditions)
        write_result(result, self.result / "evaluation.json")
        self._console.print(
            f"the policy is in {self.result}; copy it to models/demo to make it the demo's",
            highlight=False,
        )
