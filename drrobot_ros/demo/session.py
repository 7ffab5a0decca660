"""Run a simulated robot and an estimator over DDS, and record both."""

import dataclasses
import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from drrobot_ros.demo.plan import READY, Step
from drrobot_ros.demo.processes import ProcessError, Processes
from drrobot_ros.demo.recording import FILE, Recording

NODES = "drrobot_ros.ros.nodes"
_TICK_S = 0.1
_READY_TIMEOUT_S = 90.0

Parameters = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Session:
    """The parameters of the two nodes, and what to do with them.

    Attributes:
        robot: parameters of ``simulated_robot``.
        estimator: parameters of ``pose_estimator``.
        plan: the steps.
        images: keep the camera's images and the overlays.
        others: parameters of further nodes, by the nodes' names.
    """

    robot: Parameters
    estimator: Parameters
    plan: list[Step]
    images: bool = False
    others: dict[str, Parameters] = dataclasses.field(default_factory=dict)


def run_session(
    session: Session, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> Recording:
    """Run the nodes as processes until the plan is done, and end them.

    The estimator is started last, once images are there.

    Args:
        session: what to run.
        folder: for parameters, logs and the recording.
        progress: told of every event, and of "" about ten times a second.

    Raises:
        ProcessError: a node died, or images never came.
        BackendError: ROS is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    plan = folder / "plan.json"
    plan.write_text(json.dumps(session.plan))
    with Processes(folder / "logs") as processes:
        own = {"robot": session.robot, "estimator": session.estimator}
        for name, values in {**own, **session.others}.items():
            _write_parameters(folder / f"{name}.yaml", values)

        def start(name: str, node: str) -> None:
            file = str(folder / f"{name}.yaml")
            processes.start(node, f"{NODES}.{node}", "--ros-args", "--params-file", file)

        start("robot", "simulated_robot")
        recorder = processes.start(
            "session_recorder",
            f"{NODES}.session_recorder",
            str(plan),
            str(folder),
            *(["--images"] if session.images else []),
            piped=True,
        )
        events: queue.Queue[str | None] = queue.Queue()
        assert recorder.stdout is not None
        threading.Thread(target=_read, args=(recorder.stdout, events), daemon=True).start()
        waited_s = 0.0
        ready = False
        while True:
            try:
                event = events.get(timeout=_TICK_S)
            except queue.Empty:
                event = ""
                waited_s += _TICK_S
            if event is None:
                break
            progress(event)
            if event == READY:
                ready = True
                start("estimator", "pose_estimator")
                for name in session.others:
                    start(name, name)
            if not ready and waited_s > _READY_TIMEOUT_S:
                raise ProcessError(f"no images in {_READY_TIMEOUT_S:.0f} s; logs: {folder}/logs")
            if not event and recorder.poll() is None:
                processes.check()
        if recorder.wait(30.0) != 0:
            processes.check()
    return Recording.load(folder)


def _write_parameters(path: Path, values: Parameters) -> None:
    import yaml

    given = {name: _plain(value) for name, value in values.items()}
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": given}}, default_flow_style=None))


def _plain(value: Any) -> Any:
    """Return lists of plain numbers for tuples and arrays."""
    if isinstance(value, (str, bool, int, float)):
        return value
    return [item if isinstance(item, str) else float(item) for item in value]


def _read(lines: IO[str], events: "queue.Queue[str | None]") -> None:
    for line in lines:
        try:
            events.put(json.loads(line)["event"])
        except (ValueError, TypeError, KeyError):
            continue  # some library talks
    events.put(None)
