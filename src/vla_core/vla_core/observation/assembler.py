"""Assembles the observation as of one instant, or says why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract
from vla_core.errors import ConfigurationError, ObservationError
from vla_core.observation.stream import Payload, Sample, Stream
from vla_core.types import NS_PER_S, Observation

CAPACITY = 128  # samples per stream: 1 s at 100 Hz and some reserve


class ObservationAssembler:
    """Takes samples as they come and gives observations as of any recent instant.

    For every stream it takes the newest sample not later than the instant and not older than the
    contract's limit. Live, recording, training and replay use this one rule. ``add`` and
    ``assemble`` may be called from different threads.
    """

    def __init__(
        self, contract: Contract, streams: Iterable[str], capacity: int = CAPACITY
    ) -> None:
        section = contract.observation
        self._images, self._states = section.images, section.state
        self._max_age_ns = round(section.max_age_s * NS_PER_S)
        self._max_skew_ns = round(section.max_skew_s * NS_PER_S)
        self._frozen_after_ns = round(section.frozen_after_s * NS_PER_S)
        known = [*self._images, *self._states]
        unknown = [name for name in streams if name not in known]
        if unknown:
            raise ConfigurationError(
                f"robot '{contract.robot}': no stream {unknown}, the contract has {known}"
            )
        self._streams = {name: Stream(capacity) for name in streams}
        self._queried_since: dict[str, tuple[int | None, int]] = {}
        self._lock = Lock()

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that an observation needs."""
        return tuple(self._streams)

    def add(self, stream: str, stamp_ns: int, payload: Payload) -> None:
        """Keep one sample. A callable payload is decoded only when an observation needs it.

        Images decode to (H, W, 3) uint8 RGB, state to (entries,) float64 in the contract's order.
        Streams that no observation needs are ignored.
        """
        if stream not in self._streams:
            return
        with self._lock:
            self._streams[stream].add(Sample(stamp_ns, payload))

    def ages_ns(self, now_ns: int) -> dict[str, int | None]:
        """Return the age of each stream's newest sample; None: nothing arrived."""
        with self._lock:
            newest = {name: stream.newest_ns for name, stream in self._streams.items()}
        return {name: None if at is None else now_ns - at for name, at in newest.items()}

    def clear(self) -> None:
        """Forget every sample, for example after a jump of the clock."""
        with self._lock:
            for stream in self._streams.values():
                stream.clear()
            self._queried_since.clear()

    def assemble(self, now_ns: int, instruction: str) -> Observation:
        """Return what the robot knew at ``now_ns``.

        Raises:
            ObservationError: names every stream that is missing, too old, frozen or malformed,
                or the two streams that are too far apart in time.
        """
        with self._lock:
            samples = {name: stream.at(now_ns) for name, stream in self._streams.items()}
            troubles = [
                trouble
                for name, sample in samples.items()
                if (trouble := self._trouble(name, sample, now_ns)) is not None
            ]
        if troubles:
            raise ObservationError("no observation: " + "; ".join(troubles))
        present = {name: sample for name, sample in samples.items() if sample is not None}
        self._check_skew(present)
        return Observation(
            as_of_ns=now_ns,
            images={n: self._image(n, s) for n, s in present.items() if n in self._images},
            state={n: self._state(n, s) for n, s in present.items() if n in self._states},
            instruction=instruction,
            ages_ns={name: now_ns - sample.stamp_ns for name, sample in present.items()},
        )

    def _trouble(self, name: str, sample: Sample | None, now_ns: int) -> str | None:
        stream = self._streams[name]
        stood_ns = self._stood_still_ns(name, now_ns)
        if sample is None:
            when = "has come" if stream.newest_ns is None else "is that old"
            return f"stream '{name}' is missing (no sample {when})"
        age_ns = now_ns - sample.stamp_ns
        frozen = stream.is_stuck and (
            age_ns > self._max_age_ns or stood_ns > self._frozen_after_ns
        )
        if frozen or stood_ns > self._frozen_after_ns:
            return (
                f"stream '{name}' is frozen (its stamp has not advanced for "
                f"{max(stood_ns, age_ns) / 1e9:.2f} s)"
            )
        if age_ns > self._max_age_ns:
            return (
                f"stream '{name}' is old ({age_ns / 1e9:.3f} s, limit "
                f"{self._max_age_ns / 1e9:.3f} s)"
            )
        return None

    def _stood_still_ns(self, name: str, now_ns: int) -> int:
        """Return for how long queries have gone on while the newest stamp stood still."""
        newest = self._streams[name].newest_ns
        seen, since = self._queried_since.get(name, (None, now_ns))
        if newest is None or seen != newest or now_ns < since:
            self._queried_since[name] = (newest, now_ns)
            return 0
        return now_ns - since

    def _check_skew(self, samples: dict[str, Sample]) -> None:
        if not samples:
            return
        oldest = min(samples, key=lambda name: samples[name].stamp_ns)
        newest = max(samples, key=lambda name: samples[name].stamp_ns)
        skew_ns = samples[newest].stamp_ns - samples[oldest].stamp_ns
        if skew_ns > self._max_skew_ns:
            raise ObservationError(
                f"no observation: streams '{oldest}' and '{newest}' are {skew_ns / 1e9:.3f} s "
                f"apart, limit {self._max_skew_ns / 1e9:.3f} s"
            )

    def _image(self, name: str, sample: Sample) -> NDArray[np.uint8]:
        spec = self._images[name]
        image = np.asarray(sample.decode())
        expected = (spec.height_px, spec.width_px, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise ObservationError(
                f"no observation: image '{name}' expected {expected} uint8, "
                f"got {image.shape} {image.dtype}"
            )
        return image.astype(np.uint8, copy=False)

    def _state(self, name: str, sample: Sample) -> NDArray[np.float64]:
        entries = self._states[name].entries
        values = np.asarray(sample.decode(), dtype=np.float64)
        if values.shape != (len(entries),):
            raise ObservationError(
                f"no observation: state '{name}' expected {len(entries)} entries "
                f"{list(entries)}, got shape {values.shape}"
            )
        if not np.isfinite(values).all():
            entry = entries[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ObservationError(
                f"no observation: state '{name}' entry '{entry}' is not a finite number"
            )
        return values
