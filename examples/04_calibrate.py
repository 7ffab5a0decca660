"""Calibrate a simulated camera and encoders from ten images, and write the files a robot needs.

python examples/04_calibrate.py [URDF, MJCF or menagerie name] [folder]

With a real arm the same is one command: drrobot calibrate FOLDER_OR_BAG --robot my_arm.urdf
"""

import sys
from pathlib import Path

import numpy as np

from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import CalibrationCamera, calibrate
from drrobot_ros.estimation.calibration.files import write_calibration
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.pose_numbers import pose_from_numbers
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

ARM = Path(__file__).resolve().parents[1] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
POSES = 10
MOVED = (0.04, -0.03, 0.02, 0.02, -0.03, 0.02)  # what is believed of the camera, m and rad off


def main(source: str, folder: Path) -> tuple[float, float]:
    """Print the result; return the errors: camera [mm], largest of the offsets sought [deg]."""
    model = RobotModel.load(source)
    rng = np.random.default_rng(0)
    middle = model.neutral().numpy()
    poses = np.clip(middle + rng.uniform(-0.9, 0.9, (POSES, model.nq)), model.lower, model.upper)
    camera = PinholeCamera.from_fov(640, 480, vertical_fov_rad=np.deg2rad(40))
    T_base_camera = pose_that_sees(model, middle, camera)
    offsets = np.zeros(model.nv)
    offsets[1:3] = np.deg2rad([2.0, -1.5])  # the second and third encoder read wrong

    observations = []
    with SimulatedRobot(model, camera, T_base_camera, SceneConfig()) as robot:
        for i, q in enumerate(poses):
            rgb = robot.render(q, truth=False).rgb
            observations.append(Observation(rgb, camera, float(i), joint_positions=q - offsets))

    gaussians = GaussianRobot.from_model(model)
    start = CalibrationCamera(T_base_camera @ pose_from_numbers(MOVED))
    result = calibrate(model, gaussians, observations, start, joints=model.joint_names[1:3])
    files = write_calibration(result, model, gaussians, observations, folder, source=source)
    print("\n".join(files.lines))
    print(f"written to {folder}: {', '.join(file.name for file in files.files)}")
    found = result.cameras["camera"].T
    wrong_mm = 1e3 * float(np.linalg.norm(found[:3, 3] - T_base_camera[:3, 3]))
    wrong_deg = float(np.rad2deg(np.abs(result.offsets - offsets)).max())
    print(f"against the truth: camera {wrong_mm:.1f} mm, offsets {wrong_deg:.2f} degrees")
    return wrong_mm, wrong_deg


if __name__ == "__main__":
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("calibration")
    main(sys.argv[1] if len(sys.argv) > 1 else str(ARM), out)
