"""Where a tracker would see an arm that looks as in a picture.

A tracker's errors at one and the same view are the same ones: shadows, lens and model do not change
between the picture and the arm that is brought there. A goal that is read by the tracker that also
watches the arm has them too, and they cancel (teaching by showing: Hutchinson, Hager and Corke, "A
tutorial on visual servo control", 1996).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackerConfig
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]

_LOOKS, _KEPT = 8, 6
_PERIOD_S = 1 / 15


def read_by_tracker(
    model: RobotModel,
    gaussians: Any,
    picture: NDArray[np.uint8],
    camera: PinholeCamera,
    T_base_camera: NDArray[np.float64],
    q: Vector,
    config: TrackerConfig | None = None,
    farthest: float = 0.1,
) -> Vector:
    """Return the positions [nq] that a tracker settles on, looking at a picture again and again.

    Args:
        model: the robot.
        gaussians: its splats.
        picture: [H,W,3] uint8.
        camera: its intrinsics.
        T_base_camera: [4,4] its pose, held.
        q: about where the arm is in it [nq].
        config: the tracker's settings.
        farthest: joints that it sees farther from `q`, or not at all, stay there; rad or m.
    """
    tracker = Tracker(
        model, gaussians, config or TrackerConfig(), {"": CameraMount(estimate=False)}
    )
    tracker.reset(q=q, T_base_camera={"": T_base_camera})
    found = []
    for k in range(_LOOKS):
        seen = Observation(picture, camera, k * _PERIOD_S, camera_name="")
        estimate = tracker.update([seen])
        if k >= _LOOKS - _KEPT and estimate.state.name == "TRACKING":
            found.append(np.where(np.isfinite(estimate.q_std), estimate.q, q))
    if not found:
        return np.array(q, np.float64)
    settled = np.mean(found, axis=0)
    return np.where(np.abs(settled - q) <= farthest, settled, q)
