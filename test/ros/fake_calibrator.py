"""A calibrator node with a solver that takes its time and knows the answer."""

import sys
import time
from types import SimpleNamespace

import numpy as np
from fake_library import Observation, load_robot

from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.files import CalibrationFiles, FrameNames
from drrobot_ros.estimation.calibration.keyframes import KeyframeConfig
from drrobot_ros.estimation.calibration.result import (
    CalibrationCamera,
    CalibrationCancelledError,
    CalibrationResult,
    CameraResult,
    KeyframeResult,
    Progress,
    Verdict,
)
from drrobot_ros.ros.library import CalibrationLibrary

STEPS = 6
OFFSET = 0.03


class FakeSelector:
    """Keeps moments whose joints are far from the others'."""

    def __init__(self, model, gaussians, cameras, config, offsets=True) -> None:
        self.keyframes = []
        self.cameras = cameras

    def offer(self, observations):
        q = observations[0].joint_positions
        near = any(np.abs(q - m[0].joint_positions).max() < 0.1 for m in self.keyframes)
        if not near:
            self.keyframes.append(observations)
        reason = "too near to a keyframe that there is already" if near else ""
        return SimpleNamespace(accepted=not near, reason=reason, gain=1.0)


def calibrate(model, gaussians, moments, cameras, config, *, joints=None, progress=None):
    images = [o for moment in moments for o in moment]
    if len(moments) < config.min_keyframes:
        raise InputError(f"{len(moments)} keyframes are too few")
    brightness = images[0].image.mean()
    if brightness > 240:
        raise RuntimeError("the solver blew up")
    for step in range(STEPS):
        time.sleep(0.1)
        told = Progress(
            "fine",
            step,
            STEPS,
            "",
            {n: c.T for n, c in cameras.items()},
            np.zeros(model.nv),
            {n: 0.0 for n in cameras},
            np.full(len(images), 1.0 / (step + 1)),
            lambda i: np.full((480, 640, 3), 200, np.uint8),
        )
        if progress(told) is False:
            raise CalibrationCancelledError("stopped")
    failed = brightness > 200
    free = tuple(joints or model.joint_names) if config.estimate_offsets else ()
    keyframes = [
        KeyframeResult(
            i, o.camera_name, o.stamp_s, 0.1, 0.5, 0.9, 1.0, i == 1, "blurred" * (i == 1)
        )
        for i, o in enumerate(images)
    ]
    covariance = np.diag([1e-6, 2e-6, 3e-6, 1e-5, 2e-5, 3e-5])
    return CalibrationResult(
        {n: CameraResult(c.T, c.link, covariance, 0.02, 0.001) for n, c in cameras.items()},
        free,
        OFFSET * np.arange(1, model.nv + 1),
        np.full(model.nv, 0.001),
        np.eye(6),
        None,
        tuple(keyframes),
        (),
        ("elbow does not move any visible pixel",),
        Verdict.FAILED if failed else Verdict.GOOD,
        ("residuals are large",) if failed else (),
        None,
        STEPS,
        1.0,
    )


def write(result, model, gaussians, moments, folder, *, frames, source, package_paths):
    path = folder / "calibration.yaml"
    lines = [f"{name}: {f.optical} {f.body}" for name, f in frames.items()]
    path.write_text("\n".join([*lines, f"source: {source[:6]}", f"moments: {len(moments)}"]))
    return CalibrationFiles((path,), ())


LIBRARY = CalibrationLibrary(
    load_robot,
    CalibrationConfig,
    Observation,
    CalibrationCamera,
    FrameNames,
    KeyframeConfig,
    FakeSelector,
    calibrate,
    write,
)
assert issubclass(CalibrationCancelledError, DrRobotError)

if __name__ == "__main__":
    from drrobot_ros.ros.nodes.calibrator import Calibrator
    from drrobot_ros.ros.runner import run

    sys.exit(run(lambda: Calibrator(LIBRARY)))
