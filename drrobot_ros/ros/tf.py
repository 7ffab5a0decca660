"""Coordinate frames: tf2_ros where it is installed, the same few lines where it is not."""

import re
import threading
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import matrix_from_transform, transform_from_matrix

Matrix = NDArray[np.float64]


def has_tf2() -> bool:
    """Return whether tf2_ros is installed."""
    return find_spec("tf2_ros") is not None


class FrameTree(Protocol):
    """What is known of the frames now."""

    def parent(self, frame: str) -> str | None:
        """Return the parent of a frame, None for a root or an unknown frame."""
        ...

    def lookup(self, target: str, source: str) -> Matrix | None:
        """Return the newest T_target_source [4, 4], None where the frames are not connected."""
        ...


class TransformTable:
    """The newest transform of every frame to its parent: enough for chains that do not move."""

    def __init__(self) -> None:
        self._edges: dict[str, tuple[str, Matrix]] = {}
        self._fixed: set[str] = set()
        self._lock = threading.Lock()

    def set(self, transform: TransformStamped, static: bool = False) -> None:
        """Take one transform; a static one is not replaced by others.

        Raises:
            InputError: it is no transform, or a frame is its own parent.
        """
        parent = transform.header.frame_id.lstrip("/")
        child = transform.child_frame_id.lstrip("/")
        if not parent or not child or parent == child:
            raise InputError(f"tf: cannot hang frame {child!r} from {parent!r}")
        T = matrix_from_transform(transform.transform)
        with self._lock:
            if static:
                self._fixed.add(child)
            elif child in self._fixed:
                return
            self._edges[child] = (parent, T)

    def parent(self, frame: str) -> str | None:
        """See :class:`FrameTree`."""
        with self._lock:
            edge = self._edges.get(frame)
        return edge[0] if edge else None

    def lookup(self, target: str, source: str) -> Matrix | None:
        """See :class:`FrameTree`."""
        with self._lock:
            up_source, up_target = self._to_root(source), self._to_root(target)
        for frame, T in up_source.items():
            if frame in up_target:
                return np.linalg.inv(up_target[frame]) @ T
        return None

    def _to_root(self, frame: str) -> dict[str, Matrix]:
        """Return T_ancestor_frame of a frame's ancestors, nearest first."""
        T = np.eye(4)
        chain = {frame: T}
        while frame in self._edges:
            frame, step = self._edges[frame]
            if frame in chain:  # a loop: somebody publishes nonsense
                break
            T = step @ T
            chain[frame] = T
        return chain


class _OwnListener(TransformTable):
    """A TransformTable fed from /tf and /tf_static."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        from tf2_msgs.msg import TFMessage

        self._logger = node.get_logger()
        node.create_subscription(TFMessage, "/tf", lambda m: self._take(m, False), qos.TF)
        node.create_subscription(
            TFMessage, "/tf_static", lambda m: self._take(m, True), qos.LATCHED_MANY
        )

    def _take(self, message: Any, static: bool) -> None:
        for transform in message.transforms:
            try:
                self.set(transform, static)
            except InputError as error:
                self._logger.warning(str(error), once=True)


class _Tf2Listener:
    """tf2_ros.Buffer behind :class:`FrameTree`."""

    def __init__(self, node: Node) -> None:
        import tf2_ros  # pyright: ignore[reportMissingImports]

        self._tf2 = tf2_ros
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def parent(self, frame: str) -> str | None:
        """See :class:`FrameTree`."""
        return parents_of_yaml(self._buffer.all_frames_as_yaml()).get(frame)

    def lookup(self, target: str, source: str) -> Matrix | None:
        """See :class:`FrameTree`."""
        from rclpy.time import Time

        try:
            found = self._buffer.lookup_transform(target, source, Time())
        except self._tf2.TransformException:
            return None
        return matrix_from_transform(found.transform)


def parents_of_yaml(frames: str) -> dict[str, str]:
    """Return the parent of every frame from what ``Buffer.all_frames_as_yaml`` prints."""
    return dict(re.findall(r"^(\S+):\s*\n\s+parent: '?([^'\s]+)'?", frames, re.MULTILINE))


def listen(node: Node) -> FrameTree:
    """Return the frames as heard by a node."""
    return _Tf2Listener(node) if has_tf2() else _OwnListener(node)


def stamped(parent: str, child: str, T: Matrix, header: Header) -> TransformStamped:
    """Return T_parent_child with the stamp of a header."""
    message = TransformStamped(child_frame_id=child)
    message.header.stamp = header.stamp
    message.header.frame_id = parent
    message.transform = transform_from_matrix(T)
    return message


class Broadcaster:
    """Publishes transforms that can change, on /tf."""

    def __init__(self, node: Node) -> None:
        if has_tf2():
            import tf2_ros  # pyright: ignore[reportMissingImports]

            self.send = tf2_ros.TransformBroadcaster(node).sendTransform
            return
        from tf2_msgs.msg import TFMessage

        publisher = node.create_publisher(TFMessage, "/tf", qos.TF)
        self.send = lambda transform: publisher.publish(TFMessage(transforms=[transform]))


def broadcast_static(node: Node, transforms: list[TransformStamped]) -> Any:
    """Publish transforms that never change, all at once; keep what is returned."""
    if has_tf2():
        import tf2_ros  # pyright: ignore[reportMissingImports]

        broadcaster = tf2_ros.StaticTransformBroadcaster(node)
        broadcaster.sendTransform(transforms)
        return broadcaster
    from tf2_msgs.msg import TFMessage

    publisher = node.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
    publisher.publish(TFMessage(transforms=transforms))
    return publisher


def camera_attachment(
    tree: FrameTree, base: str, optical: str, ours: str | None
) -> tuple[str, Matrix] | None:
    """Return where a camera pose is to be hung so that the tree stays a tree.

    A frame has one parent, and a camera driver owns those between its root (``camera_link``) and
    the optical frame: the root is the only one free to hang from the robot.

    Args:
        tree: the frames as heard.
        base: the robot's base frame.
        optical: frame of the image.
        ours: the frame we have hung there before, whose parent is therefore our own doing.

    Returns:
        The child frame and T_child_optical [4, 4]; None where somebody else connects the camera
        with the robot already.
    """
    root, seen = optical, {optical}
    while True:
        parent = tree.parent(root)
        if parent is None or parent in seen or (root == ours and parent == base):
            break
        seen.add(parent)
        root = parent
    if root == base or (root != ours and tree.lookup(base, root) is not None):
        return None
    T = np.eye(4) if root == optical else tree.lookup(root, optical)
    return None if T is None else (root, T)


def camera_body(tree: FrameTree, parent: str, optical: str) -> tuple[str, Matrix] | None:
    """Return the frame of a camera's body: the one to be hung from what the camera is fixed to.

    Args:
        tree: the frames as heard.
        parent: the base, or the link that carries the camera.
        optical: frame of the image.

    Returns:
        The topmost frame of the camera's own and T_body_optical [4, 4]; None where that is the
        optical frame itself.
    """
    above, frame = {parent}, tree.parent(parent)
    while frame is not None and frame not in above:
        above.add(frame)
        frame = tree.parent(frame)
    body, seen = optical, {optical}
    while True:
        up = tree.parent(body)
        if up is None or up in above or up in seen:
            break
        seen.add(up)
        body = up
    T = None if body == optical else tree.lookup(body, optical)
    return None if T is None else (body, T)
