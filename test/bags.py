"""Small bags, as a robot with a camera would record them."""

import dataclasses
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
T = STORE.types
K = (60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0)


def stamp(time_s):
    ns = round(time_s * 1e9)
    return T["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)


def header(time_s, frame="camera_color_optical_frame"):
    return T["std_msgs/msg/Header"](stamp=stamp(time_s), frame_id=frame)


def image(time_s, pixels, encoding):
    h, w = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
    return T["sensor_msgs/msg/Image"](header(time_s), h, w, encoding, 0, data.size // h, data)


def compressed(time_s, data, form):
    raw = np.frombuffer(data, np.uint8)
    return T["sensor_msgs/msg/CompressedImage"](header(time_s), form, raw)


def camera_info(time_s, width=64, height=48, k=K, d=(0.0,) * 5, model="plumb_bob"):
    roi = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    p = np.array([*k[:3], 0, *k[3:6], 0, *k[6:], 0], float)
    d, k, r = (np.array(x, float) for x in (d, k, np.eye(3).ravel()))
    return T["sensor_msgs/msg/CameraInfo"](
        header(time_s), height, width, model, d, k, r, p, 0, 0, roi
    )


def joint_state(time_s, names, positions):
    empty = np.zeros(0)
    return T["sensor_msgs/msg/JointState"](
        header(time_s, ""), list(names), np.array(positions, float), empty, empty
    )


def text(value):
    return T["std_msgs/msg/String"](value)


def transforms(*items):
    """Each item: parent, child, xyz, xyzw."""
    made = []
    for parent, child, xyz, xyzw in items:
        v = T["geometry_msgs/msg/Vector3"](*(float(x) for x in xyz))
        q = T["geometry_msgs/msg/Quaternion"](*(float(x) for x in xyzw))
        t = T["geometry_msgs/msg/Transform"](v, q)
        made.append(T["geometry_msgs/msg/TransformStamped"](header(0.0, parent), child, t))
    return T["tf2_msgs/msg/TFMessage"](made)


@dataclasses.dataclass
class Bag:
    """(topic, arrival in s, message) triples to be written."""

    items: list = dataclasses.field(default_factory=list)

    def add(self, topic, time_s, message):
        self.items.append((topic, time_s, message))

    def without(self, *topics):
        return Bag([i for i in self.items if i[0] not in topics])

    def write(self, folder: Path, mcap=False):
        storage = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
        with Writer(folder, version=9, storage_plugin=storage) as writer:
            connections = {}
            for topic, time_s, message in sorted(self.items, key=lambda i: i[1]):
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
                raw = STORE.serialize_cdr(message, kind)
                writer.write(connections[topic], round(time_s * 1e9), raw)
        return folder
