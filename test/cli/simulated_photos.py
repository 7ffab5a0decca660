"""Photos of the small arm before a patterned wall, by a camera that is said to be elsewhere."""

import dataclasses

import bags
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


def simulated_photos(model, offsets, poses=POSES, link=None, T_camera=T):
    """Truth is at reading + offset; the camera is fixed to a link or the base."""
    gaussians = GaussianRobot.from_model(model, count=1500, seed=3)
    images, depths, masks = [], [], []
    for q in poses:
        background = torch.as_tensor(wall(), dtype=torch.float32)
        links = model.forward_kinematics(torch.as_tensor(q)).numpy()
        T_base_camera = T_camera if link is None else links[model.link_index(link)] @ T_camera
        with torch.no_grad():
            rgb, alpha, depth = render_robot(model, gaussians, q, T_base_camera, CAMERA, background)
        images.append((255 * rgb.numpy().clip(0, 1)).astype(np.uint8))
        masks.append((255 * (alpha.numpy() > 0.5)).astype(np.uint8))
        depths.append(np.where(alpha.numpy() > 0.5, depth.numpy(), 0.0).astype(np.float32))
    return Photos(images, depths, masks, poses - offsets, gaussians)


def moved_camera(true=T):
    """Three centimetres and two degrees off."""
    from scipy.spatial.transform import Rotation

    wrong = true.copy()
    wrong[:3, 3] += (0.02, -0.02, 0.01)
    wrong[:3, :3] = Rotation.from_rotvec(np.deg2rad([1.0, -1.0, 1.4])).as_matrix() @ true[:3, :3]
    return wrong


def write_bag(path, photos, model, description, mcap, still_s=0.6, move_s=0.4):
    """A recording in which the arm goes from pose to pose and rests; images at 10 Hz, joints at 50.

    Returns:
        number of images.
    """
    bag, at, n = bags.Bag(), 100.0, len(photos.readings)

    def where(t):
        """Pose and share of the way to the next one."""
        i, rest = divmod(t - at, still_s + move_s)
        i = min(max(int(i), 0), n - 1)
        return i, np.clip((rest - still_s) / move_s, 0.0, 1.0) if i + 1 < n else 0.0

    def positions(t):
        i, share = where(t)
        return (1 - share) * photos.readings[i] + share * photos.readings[min(i + 1, n - 1)]

    end = at + n * (still_s + move_s) - move_s
    for t in np.arange(at - 0.3, end + 0.3, 0.02):
        bag.add("/joint_states", t, bags.joint_state(t, model.joint_names, positions(t)))
    stamps = np.arange(at + 0.05, end, 0.1)
    for t in stamps:
        i, share = where(t)
        # While it moves, what is seen is smeared: half of either pose.
        smeared = photos.images[i] // 2 + photos.images[min(i + 1, n - 1)] // 2
        add_image(bag, t, smeared if share else photos.images[i], photos.masks[i])
    bag.add("/robot_description", at, bags.text(description))
    x, y, z, *xyzw = numbers_from_pose(moved_camera())
    optical = ("base_link", "camera_color_optical_frame", (x, y, z), xyzw)
    bag.add("/tf_static", at, bags.transforms(optical))
    bag.write(path, mcap)
    return len(stamps)


def add_image(bag, t, image, mask):
    bag.add("/camera/image_rect", t, bags.image(t, image, "rgb8"))
    info = bags.camera_info(t, CAMERA.width, CAMERA.height, ros_intrinsics())
    bag.add("/camera/camera_info", t, info)
    bag.add("/camera/mask", t, bags.image(t, mask, "mono8"))


def ros_intrinsics():
    """The camera's K as ROS counts."""
    return (CAMERA.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])).ravel()
