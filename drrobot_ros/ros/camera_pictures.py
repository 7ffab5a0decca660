"""The newest images of a camera, for nodes that look at one only now and then."""

import threading
from collections import deque
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import stamp_to_s

_KEPT = 16  # images: an estimate comes that late at most


class CameraPictures:
    """Keeps the newest images while it is open, as they came; closed it costs nothing.

    `open` and `close` are for the thread of the node's executor, `near` is for any.

    Args:
        node: whose topic ``image`` it is.

    Attributes:
        topic: its full name.
        received: images since it was opened.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.topic = node.resolve_topic_name("image")
        self.received = 0
        self._newest: deque[Image] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._subscription: Any = None
        # Now, so that parameters of its profile are known ones from the start.
        self.open()
        self.close()

    def open(self) -> None:
        """Begin to listen."""
        if self._subscription is None:
            self.received = 0
            self._subscription = qos.subscribe(
                self._node, Image, "image", self._add, qos.IMAGE_INPUT
            )

    def close(self) -> None:
        """Listen no more, and forget."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        with self._lock:
            self._newest.clear()

    def _add(self, message: Image) -> None:
        with self._lock:
            self.received += 1
            self._newest.append(message)

    def near(self, stamp_s: float, within_s: float) -> Image | None:
        """Return the image whose stamp is nearest to a time; None: none is so near."""
        with self._lock:
            images = list(self._newest)
        apart = [abs(stamp_to_s(image.header.stamp) - stamp_s) for image in images]
        if not apart or min(apart) > within_s:
            return None
        return images[apart.index(min(apart))]
