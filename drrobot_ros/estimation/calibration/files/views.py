"""The images of a calibration with the robot drawn where the result says it is."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.estimation.observation import Observation
from drrobot_ros.media import Image
from drrobot_ros.rendering import render_robot
from drrobot_ros.rendering.overlay import overlay_image

Matrix = NDArray[np.float64]

WIDTH = 960  # of overlays, px


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """One image of a keyframe and what the result says of it.

    Attributes:
        observation: the image.
        q: joint positions [nq]: the readings, moved by offsets and time lag.
        T_base_camera: [4,4].
        result: its `KeyframeResult`.
        name: for captions and files.
    """

    observation: Observation
    q: NDArray[np.float64]
    T_base_camera: Matrix
    result: Any
    name: str


def views_of(
    model: Any,
    result: Any,
    observations: Sequence[Observation | Sequence[Observation]],
    names: Sequence[str] = (),
) -> list[View]:
    """Return a view for each of the result's keyframes.

    Args:
        model: the robot.
        result: of `calibrate`.
        observations: as given to `calibrate`.
        names: one per entry of `observations`; by default their numbers.
    """
    views = []
    first = next(iter(result.cameras))
    for keyframe in result.keyframes:
        entry = observations[keyframe.index]
        moment = [entry] if isinstance(entry, Observation) else list(entry)
        wanted = keyframe.camera
        seen = next(o for o in moment if (o.camera_name or first) == wanted)
        readings = next(o for o in moment if o.joint_positions is not None)
        camera = result.cameras[wanted]
        assert readings.joint_positions is not None
        move = np.array(result.offsets, np.float64)
        if readings.joint_velocities is not None:
            move = move + camera.lag_s * readings.joint_velocities
        q = torch.as_tensor(np.asarray(readings.joint_positions, np.float64))
        q = model.integrate(q, torch.as_tensor(move))
        T = np.asarray(camera.T, np.float64)
        if camera.link is not None:
            T = model.forward_kinematics(q)[model.link_index(camera.link)].numpy() @ T
        name = str(names[keyframe.index]) if names else f"{keyframe.index:02d}"
        if len(result.cameras) > 1:
            name = f"{name} {wanted}"
        views.append(View(seen, q.numpy(), T, keyframe, name))
    return views


def draw(model: Any, gaussians: Any, view: View, width: int = WIDTH) -> Image:
    """Return the robot over a view's image, at most `width` wide."""
    from PIL import Image as Pillow

    camera = view.observation.camera
    image = view.observation.image
    if camera.width > width:
        camera = camera.scaled(width / camera.width)
        size = (camera.width, camera.height)
        image = np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BOX), np.uint8)
    with torch.no_grad():
        rgb, alpha, _ = render_robot(model, gaussians, view.q, view.T_base_camera, camera)
    return overlay_image(image, rgb.numpy(), alpha.numpy(), opacity=0.35)
