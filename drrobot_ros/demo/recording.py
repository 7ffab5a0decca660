"""What was heard of a simulated robot and an estimator while they ran."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Array = NDArray[Any]

FILE = "recording.npz"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Recording:
    """Time series of a session; times are of the nodes' common clock, s.

    Attributes:
        joint_names: of the columns of positions.
        truth_stamp: of each camera image [T].
        truth: joint positions at those times [T, J], rad or m.
        true_camera: true camera pose in the base frame [4, 4].
        estimate_stamp: of the image behind each published estimate [E].
        estimate_received: when the estimate was received [E].
        estimate: joint positions [E, J].
        camera_stamp: of the image behind each published camera pose [P].
        camera: camera poses [P, 4, 4].
        status_stamp: of the image behind each status [S].
        status_received: when the status was received [S].
        state: of the estimator [S], a constant of EstimatorStatus.
        solve_time: of the solver [S], s.
        latency: image stamp to publication, on the estimator's clock [S], s.
        counts: images received, dropped, rejected by the estimator so far [S, 3].
        image_stamp: of each image of the spool [I].
        overlay_stamp: of each overlay received [O].
        events: (name, time) of what was done.
    """

    joint_names: tuple[str, ...]
    truth_stamp: Array
    truth: Array
    true_camera: Array
    estimate_stamp: Array
    estimate_received: Array
    estimate: Array
    camera_stamp: Array
    camera: Array
    status_stamp: Array
    status_received: Array
    state: Array
    solve_time: Array
    latency: Array
    counts: Array
    image_stamp: Array
    overlay_stamp: Array
    events: tuple[tuple[str, float], ...]

    def save(self, folder: Path) -> None:
        """Write the recording into a folder."""
        arrays: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("joint_names", "events")
        }
        text = {"version": VERSION, "joint_names": self.joint_names, "events": self.events}
        np.savez(folder / FILE, text=np.array(json.dumps(text)), **arrays)

    @classmethod
    def load(cls, folder: Path) -> "Recording":
        """Read the recording of a folder.

        Raises:
            InputError: there is none, or it is of another version.
        """
        path = folder / FILE
        if not path.is_file():
            raise InputError(f"there is no recording {path}")
        with np.load(path, allow_pickle=False) as data:
            text = json.loads(str(data["text"]))
            if text["version"] != VERSION:
                raise InputError(f"{path} is of version {text['version']}, this reads {VERSION}")
            arrays = {name: data[name] for name in data.files if name != "text"}
        events = tuple((str(name), float(time_s)) for name, time_s in text["events"])
        return cls(joint_names=tuple(text["joint_names"]), events=events, **arrays)

    def times(self, event: str) -> list[float]:
        """Return when an event happened, s."""
        return [time_s for name, time_s in self.events if name == event]

    def spans(self, name: str) -> list[tuple[float, float]]:
        """Return what is between the events ``<name> start`` and ``<name> end``, s."""
        return list(zip(self.times(f"{name} start"), self.times(f"{name} end"), strict=True))
