"""Pictures of grasps: grippers drawn into a camera's image."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.grasping.gripper import Gripper

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

_CHOSEN, _OTHER = (255, 210, 40), (190, 200, 210)
_FAR_M = 1.5  # what is farther has the last colour of the depth's picture


def draw_grasps(
    image: Image,
    camera: PinholeCamera,
    T_base_camera: Floats,
    gripper: Gripper,
    others: Floats,
    chosen: Floats,
    gap_m: float,
) -> Image:
    """Return an image with grippers as lines: some thin, one thick.

    Args:
        image: [H, W, 3].
        camera: of the image.
        T_base_camera: [4, 4].
        gripper: that is drawn.
        others: [n, 4, 4] tool poses.
        chosen: [4, 4] tool pose.
        gap_m: its opening.
    """
    import cv2

    out = image.copy()
    lines = _outline(gripper, gap_m)
    grasps = [(T, _OTHER, 1) for T in others] + [(chosen, _CHOSEN, 3)]
    for T, color, width in grasps:
        points = lines @ T[:3, :3].T + T[:3, 3]
        T_camera = np.linalg.inv(T_base_camera)
        seen = points @ T_camera[:3, :3].T + T_camera[:3, 3]
        if (seen[..., 2] < 0.05).any():
            continue
        pixels = seen @ camera.K.T
        pixels = np.round(pixels[..., :2] / pixels[..., 2:] * 8).astype(int)
        for a, b in pixels:
            cv2.line(out, tuple(map(int, a)), tuple(map(int, b)), color, width, cv2.LINE_AA, 3)
    return out


def depth_picture(depth_m: NDArray[np.floating]) -> Image:
    """Return depth [H, W] in colours, near ones bright; black where there is none."""
    import cv2

    known = np.isfinite(depth_m) & (depth_m > 0)
    near = float(depth_m[known].min()) if known.any() else 0.0
    share = np.clip((depth_m - near) / max(_FAR_M - near, 1e-6), 0, 1)
    shade = (255 * (1 - np.where(known, share, 1))).astype(np.uint8)
    colored = cv2.applyColorMap(shade, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    colored[~known] = 0
    return np.asarray(colored, np.uint8)


def _outline(gripper: Gripper, gap_m: float) -> Floats:
    """Return lines [n, 2, 3] in the tool frame: two fingers, what joins them, the approach."""
    half, depth = gap_m / 2, float(gripper.depth_m(gap_m))
    tip, back = depth + gripper.pad_half_m[1], -0.05
    left, right = (0.0, half), (0.0, -half)
    return np.array(
        [
            [(*left, back), (*left, tip)],
            [(*right, back), (*right, tip)],
            [(*left, back), (*right, back)],
            [(0, 0, back), (0, 0, back - 0.05)],
        ]
    )
