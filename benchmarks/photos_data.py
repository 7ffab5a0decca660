"""The ten real photos of the ``photos`` benchmark: reading them, wrong starts, errors, overlaps."""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
from common import ROOT

from drrobot_ros.estimation import Observation
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

BESIDE = ROOT.parent / "shared" / "data"
ROBOT = Path("ufactory_xarm7") / "xarm7_nohand.xml"
SPLATS = 8000


@dataclasses.dataclass(frozen=True, eq=False)
class Photos:
    """Ten photos of an xArm7 with encoders; masks and reference pose are for judging only.

    Attributes:
        model: the robot.
        gaussians: its splats, untrained.
        camera: intrinsics.
        images: [10] of [720,1280,3] uint8 RGB.
        depths_m: [10] of [720,1280], 0 unknown.
        masks: [10] of [720,1280] bool.
        q: encoder readings [10,7], rad.
        T: the reference's camera pose T_base_camera [4,4], good to about 1 cm.
    """

    model: RobotModel
    gaussians: GaussianRobot
    camera: PinholeCamera
    images: list[np.ndarray]
    depths_m: list[np.ndarray]
    masks: list[np.ndarray]
    q: np.ndarray
    T: np.ndarray

    def observation(
        self,
        i: int,
        *,
        depth: bool = False,
        mask: bool = False,
        offset: np.ndarray | None = None,
    ) -> Observation:
        """Return photo i with its encoder readings, less an offset [7] if one is given."""
        return Observation(
            self.images[i],
            self.camera,
            float(i),
            self.q[i] if offset is None else self.q[i] - offset,
            depth_m=self.depths_m[i] if depth else None,
            mask=self.masks[i] if mask else None,
        )


def folder() -> Path | None:
    """Return the folder of the photos, or None (set DRROBOT_PHOTOS)."""
    named = os.environ.get("DRROBOT_PHOTOS")
    path = Path(named) if named else BESIDE / "xarm7_realsense"
    return path if (path / "joint_positions_rad.csv").is_file() else None


def robot_file() -> Path | None:
    """Return the file of the xArm7 without a gripper, or None (set DRROBOT_MENAGERIE)."""
    named = os.environ.get("DRROBOT_MENAGERIE")
    path = (Path(named) if named else BESIDE / "menagerie") / ROBOT
    return path if path.is_file() else None


@functools.cache
def load_photos() -> Photos | None:
    """Return the photos; None where they or the robot are missing."""
    import cv2
    import yaml

    at, robot = folder(), robot_file()
    if at is None or robot is None:
        return None
    info = yaml.safe_load((at / "camera_info.yaml").read_text())
    k = np.array(info.get("k", info.get("camera_matrix", {}).get("data")), float).reshape(3, 3)
    k[:2, 2] += 0.5  # the file's origin is the centre of the first pixel
    images, depths, masks = [], [], []
    for i in range(10):
        images.append(cv2.imread(str(at / f"image_{i}.png"))[..., ::-1].copy())
        raw = cv2.imread(str(at / f"depth_mm_{i}.png"), cv2.IMREAD_UNCHANGED)
        depths.append(raw.astype(np.float32) * 1e-3)
        masks.append(cv2.imread(str(at / f"mask_{i}.png"), cv2.IMREAD_GRAYSCALE) > 127)
    height, width = images[0].shape[:2]
    model = RobotModel.load(robot)
    rows = np.genfromtxt(at / "joint_positions_rad.csv", delimiter=",", skip_header=1)
    return Photos(
        model,
        GaussianRobot.from_model(model, SPLATS),
        PinholeCamera(k, width, height),
        images,
        depths,
        masks,
        rows[:, -7:],
        np.loadtxt(at / "T_base_camera_hydra.csv", delimiter=",").reshape(4, 4),
    )


def wrong_start(T: np.ndarray, seed: int, shift_m: float, turn_deg: float) -> np.ndarray:
    """Return a camera pose that far off in a random direction and about a random axis."""
    import cv2

    rng = np.random.default_rng(seed)
    shift, axis = rng.normal(size=(2, 3))
    out = T.copy()
    out[:3, 3] += shift_m * shift / np.linalg.norm(shift)
    turn = np.radians(turn_deg) * axis / np.linalg.norm(axis)
    out[:3, :3] = T[:3, :3] @ cv2.Rodrigues(turn)[0]
    return out


def pose_error(T: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return how far two camera poses are apart, mm and degrees."""
    turn = truth[:3, :3].T @ T[:3, :3]
    cosine = np.clip((np.trace(turn) - 1) / 2, -1, 1)
    return 1e3 * float(np.linalg.norm(T[:3, 3] - truth[:3, 3])), float(
        np.degrees(np.arccos(cosine))
    )


def surface_error(photos: Photos, T: np.ndarray, i: int) -> float:
    """Return how far the robot's surface is shifted in the camera's frame in photo i, mm."""
    import torch

    links = np.asarray(photos.model.forward_kinematics(torch.as_tensor(photos.q[i])))
    points = np.asarray(photos.gaussians.means, np.float64)
    frames = links[np.asarray(photos.gaussians.link_index)]
    world = np.einsum("nij,nj->ni", frames[:, :3, :3], points) + frames[:, :3, 3]
    apart = (world - T[:3, 3]) @ T[:3, :3] - (world - photos.T[:3, 3]) @ photos.T[:3, :3]
    return 1e3 * float(np.linalg.norm(apart, axis=1).mean())


def mesh_silhouette(photos: Photos, q: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return where the meshes cover the photo [H,W] bool: drawn twice as large, then averaged."""
    import cv2
    import torch

    camera = photos.camera.resized(2 * photos.camera.width, 2 * photos.camera.height)
    links = np.asarray(photos.model.forward_kinematics(torch.as_tensor(q)))
    T_camera_base = np.linalg.inv(T)
    out = np.zeros((camera.height, camera.width), np.uint8)
    for visual in photos.model.visuals:
        frame = T_camera_base @ links[visual.link]
        at = visual.vertices @ frame[:3, :3].T + frame[:3, 3]
        pixels = at @ np.asarray(camera.K).T
        corners = (pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-3))[visual.faces]
        before = (at[visual.faces][..., 2] > 0.02).all(1)
        # OpenCV draws from pixel centres, in sixteenths of a pixel.
        for triangle in np.round((corners[before] - 0.5) * 16).astype(np.int32):
            cv2.fillConvexPoly(out, triangle, 1, cv2.LINE_8, 4)
    size = (photos.camera.width, photos.camera.height)
    return cv2.resize(out.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5


def overlap(photos: Photos, T: np.ndarray, which: list[int]) -> float:
    """Return the mean intersection over union of meshes and masks over some photos."""
    shares = []
    for i in which:
        drawn, mask = mesh_silhouette(photos, photos.q[i], T), photos.masks[i]
        shares.append((drawn & mask).sum() / (drawn | mask).sum())
    return float(np.mean(shares))
