"""Track a simulated arm from its images alone, without ROS.

python examples/03_track_simulated.py [URDF, MJCF or menagerie name] [images]
"""

import sys
from pathlib import Path

import numpy as np

from drrobot_ros.estimation import Observation, Tracker, TrackerConfig
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.simulation.motion import SinusoidMotion
from drrobot_ros.splats import GaussianRobot

ARM = Path(__file__).resolve().parents[1] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
RATE_HZ = 20.0


def main(source: str, count: int) -> np.ndarray:
    """Print the error of every tenth image; return all errors [count, nq] in degrees."""
    model = RobotModel.load(source)
    motion = SinusoidMotion(model, amplitude=0.3, period_s=8.0)
    camera = PinholeCamera.from_fov(320, 240, vertical_fov_rad=np.deg2rad(40))
    T_base_camera = pose_that_sees(model, motion(0.0), camera)

    gaussians = GaussianRobot.from_model(model)
    tracker = Tracker(model, gaussians, TrackerConfig(budget_ms=0.0))
    wrong = motion(0.0) + np.deg2rad(10)  # ten degrees off in every joint
    tracker.reset(np.clip(wrong, model.lower, model.upper), T_base_camera)

    errors = []
    with SimulatedRobot(model, camera, T_base_camera, SceneConfig(shadows=False)) as robot:
        for i in range(count):
            frame = robot.render(motion(i / RATE_HZ), truth=False)
            estimate = tracker.update(Observation(frame.rgb, camera, stamp_s=i / RATE_HZ))
            errors.append(np.rad2deg(np.abs(estimate.q - frame.q)))
            if i % 10 == 0:
                print(f"image {i:3d}: {estimate.state.value:9}  error [deg]", errors[-1].round(2))
    print("median error per joint [deg]:", np.median(errors, axis=0).round(2))
    return np.array(errors)


if __name__ == "__main__":
    images = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    main(sys.argv[1] if len(sys.argv) > 1 else str(ARM), images)
