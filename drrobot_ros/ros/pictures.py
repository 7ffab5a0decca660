"""The pictures that are published of an estimate: overlay, robot mask and depths."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.rendering.self_filter import SOLID, is_robot, without
from drrobot_ros.ros import qos
from drrobot_ros.ros.camera_reader import Picture
from drrobot_ros.ros.images import (
    depth_pixels,
    depth_to_image,
    image_to_depth,
    mask_to_image,
    rgb_to_image,
    with_depth_pixels,
)
from drrobot_ros.ros.rate_limit import RateLimit
from drrobot_ros.ros.settings import PoseEstimatorSettings

Rendered = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class Pictures:
    """Publishers of one camera's pictures, each made only where somebody looks.

    All of them have the size and geometry of the camera's image as it came: of a raw image they
    are as its lens shows the robot. They carry the image's stamp and frame.

    Args:
        node: whose topics they are.
        prefix: of the topics, ``~/`` or ``~/<camera>/``.
        depth: whether depth comes, so that the robot can be taken out of it.
    """

    def __init__(self, node: Node, prefix: str, *, depth: bool) -> None:
        def publisher(name: str) -> Any:
            return qos.publisher(node, Image, prefix + name, qos.OUTPUT)

        self._overlay = publisher("overlay")
        self._mask = publisher("robot_mask")
        self._depth = publisher("robot_depth")
        self._without = publisher("depth_without_robot") if depth else None
        self._overlay_limit = RateLimit()

    def publish(
        self,
        picture: Picture,
        settings: PoseEstimatorSettings,
        render: Callable[[Any], tuple[Any, Any, Any]] | None,
    ) -> None:
        """Publish what is looked at.

        Args:
            picture: the image.
            settings: of the node.
            render: (intrinsics) -> colours, alpha, depth of the robot as estimated; None where the
                estimate is not believed: then the overlay is the bare image, and what others would
                rely on is not published at all.
        """
        overlay = _watched(self._overlay) and self._overlay_limit.due(settings.overlay_rate_hz)
        depth = picture.frame.extras.get("depth") if "depth_m" in picture.planes else None
        cut = depth if _watched(self._without) else None
        header = picture.frame.image.header
        if render is None:
            if overlay:
                self._overlay.publish(rgb_to_image(picture.raw, header))
            return
        if not (overlay or cut is not None or _watched(self._mask) or _watched(self._depth)):
            return
        rgb, alpha, robot_depth = self._rendered(picture, render)
        if overlay:
            drawn = overlay_image(picture.raw, rgb, alpha, settings.overlay_opacity)
            self._overlay.publish(rgb_to_image(drawn, header))
        solid = alpha > SOLID
        if _watched(self._mask):
            self._mask.publish(mask_to_image(solid, header))
        if _watched(self._depth):
            shown = np.where(solid & (robot_depth > 0), robot_depth, np.nan)
            self._depth.publish(depth_to_image(shown, header))
        if cut is not None and self._without is not None:
            margins = settings.filter_margin_px, settings.filter_margin_m
            robot = is_robot(image_to_depth(cut), alpha, robot_depth, *margins)
            self._without.publish(with_depth_pixels(cut, without(depth_pixels(cut), robot)))

    @staticmethod
    def _rendered(picture: Picture, render: Callable[[Any], tuple[Any, Any, Any]]) -> Rendered:
        """Return the robot as the raw image shows it."""
        rgb, alpha, depth = (np.asarray(p, np.float32) for p in render(picture.view.camera))
        view = picture.view
        return view.raw(rgb), view.raw(alpha), view.raw(depth, nearest=True)


def _watched(publisher: Any) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0
