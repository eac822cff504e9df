"""From nothing to an examined demo policy, in stages that resume where a kill left them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from vla_models.demo.recipe import AUGMENTATION, HELD_OUT, demo_config, reword, weigh
from vla_models.demo.workers import Recording
from vla_models.evaluate import examine, write_result
from vla_models.evaluation import CONDITIONS
from vla_models.nano.checkpoint import CONFIG, WEIGHTS, load_checkpoint
from vla_models.progress import progress_bar
from vla_models.training.dataset import Dataset
from vla_models.training.episodes import Episode, EpisodeStore
from vla_models.training.log import LOG, Row, TrainingLog, plot_log, read_log
from vla_models.training.trainer import Trainer, TrainingSettings


@dataclass(frozen=True)
class Round:
    """One stretch of training, and the corrected episodes that are added before it."""

    training: TrainingSettings
    corrections: int = 0  # episodes of the round before's policy, with the expert's answers


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    demonstrations: int
    snapshots: int  # files of them
    rounds: tuple[Round, ...]
    held_out: int
    seeds: int  # per task and condition, in the evaluation


FULL = Plan(
    demonstrations=200,
    snapshots=200,
    rounds=(
        Round(TrainingSettings(steps=2200)),
        Round(TrainingSettings(steps=1000, seed=1, learning_rate=4e-4), corrections=60),
        Round(TrainingSettings(steps=1000, seed=2, learning_rate=4e-4), corrections=64),
    ),
    held_out=HELD_OUT,
    seeds=10,
)
_FEW = TrainingSettings(
    steps=4, batch=4, log_every=2, validate_every=4, checkpoint_every=2, warm_up=2
)
QUICK = Plan(
    demonstrations=3,
    snapshots=1,
    rounds=(Round(_FEW), Round(replace(_FEW, seed=1), corrections=1)),
    held_out=1,
    seeds=0,
)
NUMBERS_PER_ROUND = 1000  # of corrections


class DemoTraining:
    """The rounds, in one folder; the outcome is in its ``result``."""

    def __init__(self, plan: Plan, folder: Path, console: Console, workers: int = 1) -> None:
        self._plan, self._folder, self._console, self._workers = plan, folder, console, workers
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
        learned = demonstrations[self._plan.held_out :] + self._snapshots()
        for number, stretch in enumerate(self._plan.rounds):
            learned += self._corrections(number, stretch.corrections)
            self._train(number, stretch.training, learned, held_out)
        self._publish()
        self._examine()

    def _round(self, number: int) -> Path:
        return self._folder / f"round-{number + 1}"

    def _demonstrations(self) -> list[Episode]:
        folder, count = self._folder / "demonstrations", self._plan.demonstrations
        work = Recording(folder)
        return self._recorded("record demonstrations", work, range(count))

    def _snapshots(self) -> list[Episode]:
        work = Recording(self._folder / "snapshots", still=True)
        return self._recorded("take snapshots", work, range(self._plan.snapshots))

    def _corrections(self, number: int, count: int) -> list[Episode]:
        if not count:
            return []
        first = number * NUMBERS_PER_ROUND
        work = Recording(self._folder / "corrections", self._round(number - 1))
        return self._recorded("record corrections", work, range(first, first + count))

    def _recorded(self, what: str, work: Recording, numbers: range) -> list[Episode]:
        with progress_bar(self._console) as bar:
            task = bar.add_task(what, total=len(numbers), note="")
            work.run(numbers, self._workers, lambda done: bar.update(task, completed=done))
        store = EpisodeStore(work.folder)
        return [store.read(number) for number in numbers]

    def _train(
        self,
        number: int,
        settings: TrainingSettings,
        learned: Sequence[Episode],
        held_out: Sequence[Episode],
    ) -> None:
        before = load_checkpoint(self._round(number - 1)) if number else None
        trainer = Trainer(
            self._config,
            settings,
            Dataset(learned, self._config, weigh),
            Dataset(held_out, self._config, weigh),
            self._round(number),
            AUGMENTATION,
            reword,
            before.network.state_dict() if before else None,
            before.statistics if before else None,
        )
        with progress_bar(self._console) as bar:
            task = bar.add_task(
                f"train, round {number + 1} of {len(self._plan.rounds)}",
                total=settings.steps,
                completed=trainer.step,
                note="",
            )

            def progress(step: int, row: Row | None) -> None:
                bar.update(task, completed=step)
                if row:
                    bar.update(task, note=f"action error {row.action:.3f}")

            trainer.run(progress)

    def _publish(self) -> None:
        """Collect the last weights and one log of all rounds."""
        self.result.mkdir(parents=True, exist_ok=True)
        rounds = [self._round(number) for number in range(len(self._plan.rounds))]
        for name in (WEIGHTS, CONFIG):
            shutil.copyfile(rounds[-1] / name, self.result / name)
        rows = joined_logs([read_log(folder / LOG) for folder in rounds])
        log = TrainingLog(self.result / LOG)
        for row in rows:
            log.append(row)
        plot_log(rows, self.result / "training_log.png")

    def _examine(self) -> None:
        conditions = CONDITIONS if self._plan.seeds else CONDITIONS[:1]
        result = examine(self.result, max(self._plan.seeds, 1), conditions, self._workers)
        write_result(result, self.result / "evaluation.json")
        self._console.print(
            f"the policy is in {self.result}; copy it to models/demo to make it the demo's",
            highlight=False,
        )


def joined_logs(logs: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of trainings that followed each other, steps and seconds counted on."""
    rows: list[Row] = []
    for log in logs:
        step, seconds = (rows[-1].step, rows[-1].seconds) if rows else (0, 0.0)
        rows += [replace(r, step=r.step + step, seconds=r.seconds + seconds) for r in log]
    return rows
