"""Photos of the small arm before a patterned wall, by a camera that is said to be elsewhere."""

import dataclasses

import numpy as np
import torch

from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.rendering import render_robot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, 0.6)
T = look_at((1.7, 0.5, 0.9), (0.0, 0.0, 0.45))
POSES = np.array(
    [
        [0.2, -0.6, 0.9, 0.1, 0.5, 0.0],
        [-0.5, 0.2, 0.7, 0.8, -0.6, 0.3],
        [0.9, -0.2, 0.3, -0.7, 0.9, 0.6],
        [-0.2, 0.5, -0.6, 0.4, 0.7, -0.5],
        [0.5, -0.9, 1.3, 1.2, -0.3, 0.9],
    ]
)


@dataclasses.dataclass(frozen=True)
class Photos:
    """What a camera saw, and what the encoders said."""

    images: list
    depths: list
    masks: list
    readings: np.ndarray
    gaussians: GaussianRobot


def wall():
    small = np.random.default_rng(5).uniform(0.25, 0.6, (8, 10, 3))
    return np.kron(small, np.ones((30, 32, 1)))


def simulated_photos(model, offsets, poses=POSES):
    """Truth is at reading + offset."""
    gaussians = GaussianRobot.from_model(model, count=1500, seed=3)
    images, depths, masks = [], [], []
    for q in poses:
        background = torch.as_tensor(wall(), dtype=torch.float32)
        with torch.no_grad():
            rgb, alpha, depth = render_robot(model, gaussians, q, T, CAMERA, background)
        images.append((255 * rgb.numpy().clip(0, 1)).astype(np.uint8))
        masks.append((255 * (alpha.numpy() > 0.5)).astype(np.uint8))
        depths.append(np.where(alpha.numpy() > 0.5, depth.numpy(), 0.0).astype(np.float32))
    return Photos(images, depths, masks, poses - offsets, gaussians)


def moved_camera():
    """Three centimetres and two degrees off."""
    from scipy.spatial.transform import Rotation

    wrong = T.copy()
    wrong[:3, 3] += (0.02, -0.02, 0.01)
    wrong[:3, :3] = Rotation.from_rotvec(np.deg2rad([1.0, -1.0, 1.4])).as_matrix() @ T[:3, :3]
    return wrong


def write_bag(path, photos, model, description, mcap, still_s=0.6, move_s=0.4):
    """A recording in which the arm goes from pose to pose and rests; images at 10 Hz, joints at 50.

    Returns:
        number of images.
    """
    import bags

    bag, at, count = bags.Bag(), 100.0, 0
    n = len(photos.readings)
    k = sim_k()

    def positions(t):
        i, rest = divmod(t - 100.0, still_s + move_s)
        i = min(int(i), n - 1)
        share = np.clip((rest - still_s) / move_s, 0.0, 1.0) if i + 1 < n else 0.0
        return (1 - share) * photos.readings[i] + share * photos.readings[min(i + 1, n - 1)]

    end = at + n * (still_s + move_s) - move_s
    for t in np.arange(at - 0.3, end + 0.3, 0.02):
        bag.add("/joint_states", t, bags.joint_state(t, model.joint_names, positions(t)))
    for t in np.arange(at + 0.05, end, 0.1):
        i, rest = divmod(t - at, still_s + move_s)
        i = min(int(i), n - 1)
        # While it moves, what is seen is smeared: half of either pose.
        moving = rest > still_s and i + 1 < n
        other = photos.images[min(i + 1, n - 1)]
        seen = photos.images[i] // 2 + other // 2 if moving else photos.images[i]
        bag.add("/camera/image_rect", t, bags.image(t, seen, "rgb8"))
        info = bags.camera_info(t, CAMERA.width, CAMERA.height, k)
        bag.add("/camera/camera_info", t, info)
        if not moving:
            bag.add("/camera/mask", t, bags.image(t, photos.masks[i], "mono8"))
        count += 1
    bag.add("/robot_description", at, bags.text(description))
    x, y, z, *xyzw = numbers_from_pose(moved_camera())
    optical = ("base_link", "camera_color_optical_frame", (x, y, z), xyzw)
    bag.add("/tf_static", at, bags.transforms(optical))
    bag.write(path, mcap)
    return count


def sim_k():
    """The camera's K as ROS counts."""
    return tuple((CAMERA.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])).ravel())
