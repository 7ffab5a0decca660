"""Cold start on other robots: one simulated RGB-D image, joints anywhere within their limits.

Judged by the surface (mean distance of its points to the nearest true one), for a wrist may have a
second solution that looks the same; the joints before the wrist are judged by their angles.
"""

import sys
import time

import numpy as np
from common import QUICK, ROOT, Benchmark
from scipy.spatial import KDTree

from drrobot_ros.estimation.localize import Guess, Localizer
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

MENAGERIE = ROOT.parent / "shared" / "data" / "menagerie"
ROBOTS = {
    "Panda": "franka_emika_panda/panda_nohand.xml",
    "UR5e": "universal_robots_ur5e/ur5e.xml",
}
CAMERA = PinholeCamera(np.array([[450.0, 0, 320], [0, 450.0, 240], [0, 0, 1.0]]), 640, 480)
POSES = 1 if QUICK else 4


def camera_pose() -> np.ndarray:
    """Two metres in front of the robot, a little above, looking at its middle."""
    eye, at = np.array([1.7, 0.5, 0.8]), np.array([0.0, 0.0, 0.45])
    z = (at - eye) / np.linalg.norm(at - eye)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack([x, np.cross(z, x), z], 1), eye
    return T


def surface(model: RobotModel, q: np.ndarray, T_camera: np.ndarray) -> np.ndarray:
    import torch

    T = np.linalg.inv(T_camera) @ model.forward_kinematics(torch.as_tensor(q)).numpy()
    points = [v.vertices[::7] @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    return np.concatenate(points)


def main() -> int:
    bench = Benchmark("localize", poses=POSES, image="640x480")
    for name, path in ROBOTS.items():
        if not (MENAGERIE / path).is_file():
            print(f"{name}: no model at {MENAGERIE / path}")
            continue
        model = RobotModel.load(MENAGERIE / path)
        localizer = Localizer(model, GaussianRobot.from_model(model, 8000))
        away, first, seconds, believed = [], [], [], []
        simulated = SimulatedRobot(model, CAMERA, camera_pose(), SceneConfig(shadows=False))
        rng = np.random.default_rng(3)
        lower = np.maximum(np.asarray(model.lower), -np.pi)
        upper = np.minimum(np.asarray(model.upper), np.pi)
        while len(away) < POSES:
            q = rng.uniform(lower, upper)
            if surface(model, q, np.eye(4))[:, 2].min() < -0.02:
                continue  # through the table
            frame = simulated.render(q, truth=True)
            seen = Observation(frame.rgb, CAMERA, 0.0, depth_m=frame.depth_m)
            begun = time.process_time()
            found = localizer.find(seen, Guess(T_base_camera=camera_pose()), rng)
            seconds.append(time.process_time() - begun)
            best = found.candidates[0]
            there = KDTree(surface(model, q, camera_pose()))
            away.append(1e3 * there.query(surface(model, best.q, best.T_base_camera))[0].mean())
            first.append(np.abs((np.degrees(best.q - q) + 180) % 360 - 180)[:3].max())
            believed.append(found.found)
        simulated.close()
        bench.add(
            f"{name}, joints anywhere, camera known: surface within 10 mm",
            int((np.array(away) < 10).sum()),
            f"of {POSES}",
            better="higher",
            surface_mm=np.round(away, 1).tolist(),
            first_three_joints_deg=np.round(first, 1).tolist(),
            believed=[bool(b) for b in believed],
            cpu_s=round(float(np.median(seconds)), 1),
        )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
