"""Recording on several cores: each process has its own scene and its share of the numbers."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_core.errors import VlaError
from vla_models.demo.corrections import record_corrections
from vla_models.demo.recording import record
from vla_models.demo.snapshots import record_snapshots
from vla_models.nano.adapter import load
from vla_models.training.episodes import EpisodeStore


@dataclass(frozen=True)
class Recording:
    """What to record where: demonstrations, snapshots, or corrections of a policy."""

    folder: Path
    policy: Path | None = None  # checkpoint folder; None: the expert acts
    still: bool = False  # snapshots

    def some(self, numbers: Sequence[int]) -> None:
        """Record what is missing of some numbers, in this process; it ends with its parent."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if self.policy is not None:
            record_corrections(load(self.policy, threads=1), self.folder, numbers)
        elif self.still:
            record_snapshots(self.folder, numbers)
        else:
            record(self.folder, numbers)

    def run(
        self, numbers: range, workers: int, progress: Callable[[int], None] = lambda done: None
    ) -> None:
        """Record what is missing on ``workers`` processes; ``progress`` gets how many there are.

        Raises:
            VlaError: a process failed; what it had recorded is kept.
        """
        store = EpisodeStore(self.folder)
        missing = sorted(set(numbers) - set(store.numbers()))
        context = multiprocessing.get_context("spawn")
        shares = [missing[i::workers] for i in range(workers) if missing[i::workers]]
        processes = [context.Process(target=self.some, args=(share,)) for share in shares]
        for process in processes:
            process.start()
        try:
            for process in processes:
                while process.is_alive():
                    process.join(0.5)
                    progress(len(set(numbers) & set(store.numbers())))
        finally:
            for process in processes:
                process.terminate()
                process.join()
        progress(len(set(numbers) & set(store.numbers())))
        if any(process.exitcode for process in processes):
            raise VlaError(
                f"recording in {self.folder} failed; its error is above. "
                "Run the same command again: what is recorded is kept."
            )


def _end_with_parent() -> None:
    """Leave nobody behind who records into a folder that the next run writes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
