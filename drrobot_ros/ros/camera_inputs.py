"""A node's cameras: their parameters, subscriptions, and what they see at one moment."""

from collections.abc import Callable, Sequence
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.ros import qos
from drrobot_ros.ros.camera_group import CameraGroup
from drrobot_ros.ros.camera_reader import CameraReader
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.parameters import Parameters
from drrobot_ros.ros.settings import CameraSettings
from drrobot_ros.ros.synchronizer import Frame, Synchronizer

EXTRAS = ("depth", "mask", "ignore_mask")


class CameraInputs:
    """Declares the parameters of a node's cameras, and reads what they send.

    One camera has its parameters and topics as they are named; several have them as ``<name>.*``
    and ``<name>/*``, and what is given without a name is each one's default.

    Args:
        node: whose parameters and topics they are.
        names: of the cameras; empty: one without a name.
        diagnostics: is told what is wrong with what they send.

    Attributes:
        readers: one per camera, in order.

    Raises:
        InputError: a parameter's start value is not valid.
    """

    def __init__(self, node: Node, names: Sequence[str], diagnostics: Diagnostics) -> None:
        self._node = node
        common = Parameters(node, CameraSettings)
        given = {"": common}
        if names:
            for setting in ("initial_camera_pose", "optical_frame"):
                if getattr(common.config, setting):
                    raise InputError(
                        f"{setting} is of one camera, and there are several: set "
                        + ", ".join(f"{name}.{setting}" for name in names)
                    )
            given = {
                name: Parameters(node, CameraSettings, f"{name}.", defaults=common.config)
                for name in names
            }
        self.readers = [
            CameraReader(
                name,
                partial(_current, parameters),
                diagnostics,
                rectified=self._is_rectified(name, parameters.config),
            )
            for name, parameters in given.items()
        ]

    def subscribe(
        self,
        emit: Callable[[dict[str, Frame]], None],
        received: Callable[[str, Header], None],
        tolerance_s: float,
    ) -> None:
        """Subscribe to the cameras' topics.

        Args:
            emit: called with what the cameras see at one moment, by name.
            received: called with a camera's name and the header of each of its images.
            tolerance_s: greatest difference of stamps within a moment.
        """
        names = [reader.name for reader in self.readers]
        group = CameraGroup(emit, names, round(tolerance_s * 1e9))
        for reader in self.readers:
            self._subscribe_one(reader, partial(group.add, reader.name), received)

    def _subscribe_one(
        self,
        reader: CameraReader,
        emit: Callable[[Frame], None],
        received: Callable[[str, Header], None],
    ) -> None:
        extras = [name for name in EXTRAS if getattr(reader.settings, f"subscribe_{name}")]
        sync = Synchronizer(emit, extras)

        def image(message: Image) -> None:
            received(reader.name, message.header)
            sync.add_image(message, self._node.get_clock().now().nanoseconds)

        node, quality = self._node, qos.IMAGE_INPUT
        qos.subscribe(node, Image, reader.topic("image"), image, quality)
        qos.subscribe(node, CameraInfo, reader.topic("camera_info"), sync.add_info, quality)
        for name in extras:
            add = partial(sync.add_extra, name)
            qos.subscribe(node, Image, reader.topic(name), add, quality)

    def _is_rectified(self, name: str, settings: CameraSettings) -> bool:
        topic = f"{name}/image" if name else "image"
        return is_rectified(self._node, topic, settings.image_rectified)


def is_rectified(node: Node, topic: str, said: str) -> bool:
    """Return whether a topic's images are, by the setting ``image_rectified`` and its name."""
    if said != "auto":
        return said == "yes"
    return "raw" not in node.resolve_topic_name(topic).rsplit("/", 1)[-1]


def _current(parameters: "Parameters[CameraSettings]") -> CameraSettings:
    return parameters.config
