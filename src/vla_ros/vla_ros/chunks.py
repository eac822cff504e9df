"""The stack's own messages to the core's values and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import (
    InferenceError,
    MismatchError,
    NonFiniteError,
    NotReadyError,
    ObservationError,
    ShapeError,
    VlaError,
)
from vla_core.execution import Answer, Correction, Request, Snapshot
from vla_core.types import ActionChunk, Epoch, Prefix
from vla_interfaces.msg import ActionChunk as ActionChunkMsg
from vla_interfaces.msg import (
    ActionCorrection,
    ExecutorState,
    InferenceFailure,
    InferenceRequest,
)
from vla_interfaces.msg import Epoch as EpochMsg
from vla_ros.joints import doubles
from vla_ros.stamps import duration_msg, duration_ns, header, time_msg, time_ns

# The most specific type that fits decides; anything else is a failed inference.
_FAILURE_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ObservationError, InferenceFailure.CODE_OBSERVATION),
    (ShapeError, InferenceFailure.CODE_INVALID_CHUNK),
    (NonFiniteError, InferenceFailure.CODE_INVALID_CHUNK),
    (NotReadyError, InferenceFailure.CODE_NOT_READY),
    (MismatchError, InferenceFailure.CODE_REQUEST),
    (InferenceError, InferenceFailure.CODE_INFERENCE),
)


def epoch_msg(epoch: Epoch) -> EpochMsg:
    """Return the message of an epoch."""
    return EpochMsg(boot_id=epoch.boot_id, counter=epoch.counter)


def epoch_from_msg(msg: EpochMsg) -> Epoch:
    """Return the epoch of a message."""
    return Epoch(msg.boot_id, msg.counter)


def request_msg(request: Request, columns: tuple[str, ...]) -> InferenceRequest:
    """Return the message of a request; ``columns`` name the prefix's columns."""
    msg = InferenceRequest(
        header=header(request.sent_ns),
        request_id=request.request_id,
        epoch=epoch_msg(request.epoch),
        policy=request.policy,
        instruction=request.instruction,
    )
    prefix = request.prefix
    if prefix is not None:
        msg.prefix_start = time_msg(prefix.start_ns)
        msg.prefix_step = duration_msg(prefix.step_ns)
        msg.names = list(columns)
        msg.prefix_values = doubles(prefix.values)
        msg.committed_until = time_msg(max(0, prefix.committed_until_ns))
    return msg


def request_from_msg(msg: InferenceRequest) -> Request:
    """Return the request of a message.

    Raises:
        ShapeError: the prefix's values do not fill whole rows, or its step is not positive.
        NonFiniteError: the prefix holds NaN or infinity.
    """
    return Request(
        request_id=msg.request_id,
        epoch=epoch_from_msg(msg.epoch),
        policy=msg.policy,
        instruction=msg.instruction,
        sent_ns=time_ns(msg.header.stamp),
        prefix=_prefix_from_msg(msg) if len(msg.prefix_values) else None,
    )


def _prefix_from_msg(msg: InferenceRequest) -> Prefix:
    values = _rows(msg.prefix_values, len(msg.names), "prefix")
    step = duration_ns(msg.prefix_step)
    if step <= 0:
        raise ShapeError(f"prefix: expected a step above 0 ns, got {step}")
    if not np.isfinite(values).all():
        raise NonFiniteError("prefix: NaN or infinity among its values")
    return Prefix(
        values=values,
        start_ns=time_ns(msg.prefix_start),
        step_ns=step,
        committed_until_ns=time_ns(msg.committed_until),
    )


def chunk_msg(answer: Answer) -> ActionChunkMsg:
    """Return the message of a policy's answer."""
    chunk = answer.chunk
    return ActionChunkMsg(
        header=header(chunk.start_ns),
        request_id=answer.request_id,
        epoch=epoch_msg(answer.epoch),
        policy=answer.policy,
        step=duration_msg(chunk.step_ns),
        names=list(chunk.columns),
        values=doubles(chunk.values),
        prefix_rows=chunk.prefix_rows,
        stream_names=list(chunk.ages_ns),
        stream_ages=[duration_msg(int(age)) for age in chunk.ages_ns.values()],
        stage_names=list(chunk.stages_ns),
        stage_durations=[duration_msg(int(time)) for time in chunk.stages_ns.values()],
    )


def answer_from_msg(msg: ActionChunkMsg) -> Answer:
    """Return the answer of a message.

    Raises:
        ShapeError: the values do not fill whole rows, or the step is not positive.
        NonFiniteError: a value is NaN or infinite.
    """
    chunk = ActionChunk(
        values=_rows(msg.values, len(msg.names), "action chunk"),
        start_ns=time_ns(msg.header.stamp),
        step_ns=duration_ns(msg.step),
        columns=tuple(msg.names),
        prefix_rows=msg.prefix_rows,
        ages_ns=_named_ns(msg.stream_names, msg.stream_ages),
        stages_ns=_named_ns(msg.stage_names, msg.stage_durations),
    )
    return Answer(msg.request_id, epoch_from_msg(msg.epoch), msg.policy, chunk)


def failure_msg(request: InferenceRequest, error: Exception, stamp_ns: int) -> InferenceFailure:
    """Return the answer to a request that got no chunk."""
    sentence = str(error) or type(error).__name__
    if not isinstance(error, VlaError):
        sentence = f"{type(error).__name__}: {sentence}"
    code = next(
        (code for kind, code in _FAILURE_CODES if isinstance(error, kind)),
        InferenceFailure.CODE_INFERENCE,
    )
    return InferenceFailure(
        header=header(stamp_ns),
        request_id=request.request_id,
        epoch=request.epoch,
        policy=request.policy,
        code=code,
        message=sentence,
    )


def correction_from_msg(msg: ActionCorrection) -> Correction:
    """Return the correction of a message.

    Raises:
        ShapeError: another number of values than of names.
        NonFiniteError: a value is NaN or infinite.
    """
    return Correction(
        target_ns=time_ns(msg.header.stamp),
        epoch=epoch_from_msg(msg.epoch),
        policy=msg.policy,
        columns=tuple(msg.names),
        values=np.array(msg.values, np.float64),
    )


def executor_state_msg(snapshot: Snapshot, stamp_ns: int) -> ExecutorState:
    """Return the message of the executor's state; the fields have the same names."""
    fields = {name: value for name, value in vars(snapshot).items() if name != "epoch"}
    fields["mode"] = int(snapshot.mode)
    return ExecutorState(header=header(stamp_ns), epoch=epoch_msg(snapshot.epoch), **fields)


def _rows(values: object, columns: int, what: str) -> NDArray[np.float64]:
    flat = np.array(values, np.float64)
    if columns == 0 or len(flat) == 0 or len(flat) % columns:
        raise ShapeError(
            f"{what}: expected whole rows of {columns} named columns, got {len(flat)} values"
        )
    return flat.reshape(-1, columns)


def _named_ns(names: list[str], durations: list[object]) -> Mapping[str, int]:
    return {name: duration_ns(time) for name, time in zip(names, durations, strict=False)}
