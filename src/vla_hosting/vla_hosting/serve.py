"""The command ``vla serve``: a policy of this machine for robots and openpi clients elsewhere."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from vla_core.contract import Contract, PolicyConfig, load_contract, load_policy_config
from vla_core.errors import ConfigurationError, VlaError
from vla_core.ports import PolicySpec
from vla_hosting.keys import ObservationKeys
from vla_hosting.loading import load_policy
from vla_hosting.memory import keep_freed_memory
from vla_hosting.remote import API_KEY_VARIABLE
from vla_hosting.server import PolicyServer, ServerSettings
from vla_hosting.sockets import listen

log = logging.getLogger(__name__)

DEFAULT_PORT = 8000  # as openpi


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    keep_freed_memory()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        settings = ServerSettings(api_key=_api_key(arguments.api_key, arguments.host))
        config = policy_config(arguments.policy, arguments.robot, arguments.root)
        contract = _contract(config, arguments.contract, arguments.root)
        # Before the policy: a taken port must not cost the minutes of loading it.
        with listen(arguments.host, arguments.port) as listener:
            _serve(config, contract, arguments.root, listener, settings)
    except VlaError as error:
        print(f"vla serve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vla serve: stopped")
    return 0


def _serve(
    config: PolicyConfig,
    contract: Contract,
    root: Path,
    listener: socket.socket,
    settings: ServerSettings,
) -> None:
    with contextlib.closing(load_policy(config, contract, root)) as policy:
        server = PolicyServer(policy, listener, keys(config, policy.spec), settings)
        host, port = listener.getsockname()[:2]
        print(f"vla serve: policy '{policy.spec.name}' at ws://{host}:{port}", flush=True)
        server.serve()


def _api_key(is_required: bool, host: str) -> str | None:
    """Return the key that clients must send; from the environment, since `ps` shows arguments.

    Raises:
        ConfigurationError: it is required and not there.
    """
    if not is_required:
        if host not in ("127.0.0.1", "::1", "localhost"):
            log.warning("whoever reaches %s may use the policy; --api-key asks for a key", host)
        return None
    key = os.environ.get(API_KEY_VARIABLE, "")
    if not key or not key.isascii() or key != key.strip():
        raise ConfigurationError(
            f"--api-key: expected a key in {API_KEY_VARIABLE}, without spaces around it, "
            f"{'found an unusable one' if key else 'it is not set'}"
        )
    return key


def policy_config(policy: str, robot: str, root: Path) -> PolicyConfig:
    """Return the configuration that an argument names: a file, a name, or a uri.

    Raises:
        ConfigurationError: it is none of them.
    """
    for path in (Path(policy), root / policy, root / "config" / "policies" / f"{policy}.yaml"):
        if path.is_file():
            return load_policy_config(path)
    if ":" in policy:
        return PolicyConfig(name=policy.partition(":")[0], robot=robot, uri=policy)
    known = sorted(path.stem for path in (root / "config" / "policies").glob("*.yaml"))
    raise ConfigurationError(
        f"no policy '{policy}': expected a file, a uri such as nano:models/demo, or one of {known}"
    )


def keys(config: PolicyConfig, spec: PolicySpec) -> ObservationKeys:
    """Return the keys that clients use: those of the policy file, else our own."""
    if config.openpi is None:
        return ObservationKeys.of(spec)
    state = config.openpi.state
    given = dict.fromkeys(spec.state, state) if isinstance(state, str) else dict(state)
    return ObservationKeys(dict(config.openpi.images), given, config.openpi.prompt)


def _contract(config: PolicyConfig, files: Sequence[Path], root: Path) -> Contract:
    folder = root / "config" / "robots" / config.robot
    if files:
        return load_contract(files)
    if not folder.parent.is_dir():
        raise ConfigurationError(
            f"no folder config/robots in {root.resolve()}: name the checkout with --root or "
            "VLA_ROOT, or the robot's files with --contract"
        )
    if not folder.is_dir():
        known = sorted(path.name for path in folder.parent.glob("*/"))
        raise ConfigurationError(
            f"policy '{config.name}' is for robot '{config.robot}', which has no contract; "
            f"known are {known}. Name its files with --contract."
        )
    return load_contract([folder / "contract.yaml"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vla serve",
        description="Serve a policy over openpi's WebSocket protocol.",
    )
    parser.add_argument("policy", help="policy file, its name, or a uri such as nano:models/demo")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any (%(default)s)")
    parser.add_argument("--robot", default="so101", help="with a uri: for which robot")
    parser.add_argument("--contract", type=Path, nargs="+", default=(), help="contract files")
    parser.add_argument(
        "--api-key", action="store_true", help=f"clients must send the key in {API_KEY_VARIABLE}"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("VLA_ROOT", ".")),
        help="start of relative paths; default: VLA_ROOT (./vla sets it), else this folder",
    )
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
