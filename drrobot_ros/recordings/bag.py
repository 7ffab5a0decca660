"""Recordings that are a rosbag2, in sqlite3 or MCAP, read without ROS.

The bag is read twice: first all that is small (joint states, calibration, fixed frames, stamps),
then, as often as frames are asked for, the images, one at a time.
"""

import dataclasses
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.camera_info import lens_from_message
from drrobot_ros.recordings.image_messages import depth_of, encoding_of, mask_of, rgb_of
from drrobot_ros.recordings.joint_track import JointTrack
from drrobot_ros.recordings.recording import Frame, Planes, Recording
from drrobot_ros.recordings.static_transforms import matrix_of
from drrobot_ros.recordings.topics import TopicFlags, Topics, choose_topics

#: An image, its depth and its mask are taken together if their stamps differ by less, s.
SAME_S = 0.02
_DEPTH, _MASK = "depth", "mask"


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a rosbag2."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(path.glob("*.mcap"))
    return path.suffix in (".mcap", ".db3")


def read_bag(
    path: str | Path,
    flags: TopicFlags | None = None,
    *,
    lens: Lens | None = None,
    rectified: bool | None = None,
) -> Recording:
    """Return the recording in a rosbag2 (folder, or its .db3) or MCAP file.

    Stamps are those of the messages, or, where they have none, those of their arrival. Images
    without joint states around them are left out.

    Args:
        path: of the bag.
        flags: topics, where they are not to be found by type and name.
        lens: known intrinsics, instead of a camera_info.
        rectified: whether the images are; None: if their topic is called so (``image_rect``).

    Raises:
        InputError: it cannot be read, topics are missing (the message lists those there are), or
            the camera is not calibrated.
    """
    path = Path(path).expanduser()
    bag = _Bag(path)
    with bag.reader() as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections}
        counts = {t: info.msgcount for t, info in reader.topics.items()}
        kinds = {t: k for t, k in kinds.items() if counts.get(t, 0)}
        topics = choose_topics(
            kinds,
            flags or TopicFlags(),
            lambda topic: encoding_of(bag.first(reader, topic)),
            str(path),
            need_info=lens is None,
        )
        first = _First(bag, reader, topics)
    if rectified is None:
        rectified = "rect" in topics.image.split("/")[-1] or "rect" in topics.image.split("/")[-2:]
    if lens is None:
        lens = first.lens(rectified)
    index, notes = first.index(lens)
    if not index:
        raise InputError(
            f"no image on {topics.image} of {path} has joint states around it: "
            f"{len(first.stamps[topics.image])} images from {first.span(topics.image)}, joint "
            f"states from {first.joint_span()}; are they stamped by the same clock?"
        )
    track = first.track

    def read() -> Iterator[Frame]:
        return _frames(bag, topics, index, track, lens)

    return Recording(
        str(path),
        lens,
        track.joint_names,
        len(index),
        read,
        first.description,
        first.frame,
        first.transforms,
        (_chosen(topics), *notes),
        continuous=True,
    )


def _chosen(topics: Topics) -> str:
    named = {k: v for k, v in dataclasses.asdict(topics).items() if v}
    return "topics: " + ", ".join(f"{k} {v}" for k, v in named.items())


class _Bag:
    """A rosbag2 that can be opened again and again."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
        beside = path.suffix == ".db3" and (path.parent / "metadata.yaml").is_file()
        self.path, self.source = path, path.parent if beside else path

    @contextmanager
    def reader(self) -> Iterator[Any]:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.rosbag2 import ReaderError
        from rosbags.typesys import Stores, get_typestore

        try:
            store = get_typestore(Stores.ROS2_JAZZY)
            with AnyReader([self.source], default_typestore=store) as reader:
                yield reader
        except (AnyReaderError, ReaderError, OSError) as error:
            raise InputError(f"cannot read {self.path}: {error}") from error

    def first(self, reader: Any, topic: str) -> Any:
        """Return the first message of a topic."""
        found = [c for c in reader.connections if c.topic == topic]
        for connection, _, raw in reader.messages(connections=found):
            return reader.deserialize(raw, connection.msgtype)
        raise InputError(f"no message on {topic} in {self.path}")


def _stamp_s(raw: bytes, arrival_ns: int) -> float:
    """Return the stamp of a message that begins with a Header, without reading all of it."""
    order = "<" if raw[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", raw, 4)
    return sec + 1e-9 * nanosec if sec or nanosec else 1e-9 * arrival_ns


class _First:
    """What the first reading of a bag finds."""

    def __init__(self, bag: _Bag, reader: Any, topics: Topics) -> None:
        self.path, self.topics = bag.path, topics
        self.transforms: dict[tuple[str, str], Any] = {}
        self.description = self.frame = ""
        pictures = [t for t in (topics.image, topics.depth, topics.mask) if t]
        self.stamps: dict[str, list[float]] = {t: [] for t in pictures}
        self._info: Any = None
        readings: list[tuple[float, str, float]] = []
        wanted = {t for t in dataclasses.astuple(topics) if t}
        connections = [c for c in reader.connections if c.topic in wanted]
        for connection, arrival, raw in reader.messages(connections=connections):
            topic = connection.topic
            if topic in self.stamps:
                if topic == topics.image and not self.frame:
                    self.frame = reader.deserialize(raw, connection.msgtype).header.frame_id
                self.stamps[topic].append(_stamp_s(raw, arrival))
                continue
            if topic == topics.camera_info and self._info is not None:
                continue
            message = reader.deserialize(raw, connection.msgtype)
            if topic == topics.camera_info:
                self._info = message
            elif topic == topics.joints:
                readings += _readings(message, _stamp_s(raw, arrival))
            elif topic == topics.description:
                self.description = message.data
            elif topic == topics.tf_static:
                self._add(message)
        if not readings:
            raise InputError(f"the joint states on {topics.joints} of {bag.path} hold no positions")
        self.track = JointTrack.of_readings(readings)

    def _add(self, message: Any) -> None:
        for item in message.transforms:
            t, r = item.transform.translation, item.transform.rotation
            T = matrix_of((t.x, t.y, t.z), (r.x, r.y, r.z, r.w))
            if T is not None:
                names = item.header.frame_id.lstrip("/"), item.child_frame_id.lstrip("/")
                self.transforms[names] = T

    def lens(self, rectified: bool) -> Lens:
        """Return the lens that camera_info describes."""
        info = self._info
        assert info is not None
        names = ("width", "height", "k", "p", "d", "distortion_model", "binning_x", "binning_y")
        values = {name: getattr(info, name) for name in names}
        roi = {n: getattr(info.roi, n) for n in ("x_offset", "y_offset", "width", "height")}
        try:
            return lens_from_message({**values, "roi": roi}, rectified)
        except InputError as error:
            raise InputError(f"{self.topics.camera_info} of {self.path}: {error}") from error

    def span(self, topic: str) -> str:
        """Return from when to when a topic was heard, in words."""
        return f"{min(self.stamps[topic]):.3f} to {max(self.stamps[topic]):.3f} s"

    def joint_span(self) -> str:
        """The same of the joint states."""
        every = [s for s in self.track.stamps_s.values() if len(s)]
        return f"{min(s[0] for s in every):.3f} to {max(s[-1] for s in every):.3f} s"

    def index(self, lens: Lens) -> tuple[list[dict[str, float]], list[str]]:
        """Return the stamps of image, depth and mask of every image with joint states; notes."""
        topics, notes = self.topics, []
        names = self.track.joint_names
        images = sorted(set(self.stamps[topics.image]))
        others = {}
        for kind, topic in ((_DEPTH, topics.depth), (_MASK, topics.mask)):
            if topic:
                others[kind] = np.array(sorted(set(self.stamps[topic])))
        index = []
        for stamp in images:
            if self.track.at(stamp, names) is None:
                continue
            row = {"image": stamp}
            for kind, stamps in others.items():
                nearest = stamps[np.argmin(np.abs(stamps - stamp))]
                if abs(nearest - stamp) <= SAME_S:
                    row[kind] = float(nearest)
            index.append(row)
        lost = len(images) - len(index)
        notes.append(f"{len(index)} images of {lens.camera.width}x{lens.camera.height}")
        if lost:
            notes.append(f"{lost} images left out: no joint states within 0.25 s on both sides")
        for kind in others:
            notes.append(f"{sum(kind in row for row in index)} images with {kind}")
        return index, notes


def _readings(message: Any, stamp_s: float) -> Iterator[tuple[float, str, float]]:
    if len(message.position) != len(message.name):
        if len(message.position):
            raise InputError(
                f"a joint state has {len(message.position)} positions for {len(message.name)} names"
            )
        return
    for name, value in zip(message.name, message.position, strict=True):
        if np.isfinite(value):
            yield stamp_s, name, float(value)


def _frames(
    bag: _Bag, topics: Topics, index: list[dict[str, float]], track: JointTrack, lens: Lens
) -> Iterator[Frame]:
    """Yield frames, each as soon as its depth and mask are read."""
    wanted = {row["image"]: (i, row) for i, row in enumerate(index)}
    pending: deque[tuple[int, dict[str, float], Any]] = deque()
    planes: dict[tuple[str, float], Any] = {}
    kind_of = {topics.depth: _DEPTH, topics.mask: _MASK}
    names = track.joint_names

    def complete(row: dict[str, float]) -> bool:
        return all((k, row[k]) in planes for k in (_DEPTH, _MASK) if k in row)

    def frame(i: int, row: dict[str, float], image: Any) -> Frame:
        extras = {k: planes.get((k, row[k])) for k in (_DEPTH, _MASK) if k in row}

        def decode() -> Planes:
            depth, mask = extras.get(_DEPTH), extras.get(_MASK)
            return Planes(
                rgb_of(image()),
                None if depth is None else depth_of(depth()),
                None if mask is None else mask_of(mask()),
            )

        stamp = row["image"]
        q = track.at(stamp, names)
        assert q is not None
        v = track.velocity(stamp, names)
        positions = dict(zip(names, q.tolist(), strict=True))
        velocities = None if v is None else dict(zip(names, v.tolist(), strict=True))
        name = f"image {i} ({stamp - index[0]['image']:.2f} s)"
        return Frame(name, stamp, positions, decode, lens, velocities)

    with bag.reader() as reader:
        pictures = {t for t in (topics.image, topics.depth, topics.mask) if t}
        connections = [c for c in reader.connections if c.topic in pictures]
        types = reader.typestore  # outlives the reader, as frames may
        for connection, arrival, raw in reader.messages(connections=connections):
            stamp = _stamp_s(raw, arrival)

            def message(raw: bytes = raw, kind: str = connection.msgtype) -> Any:
                return types.deserialize_cdr(raw, kind)

            if connection.topic == topics.image:
                if stamp in wanted:
                    pending.append((*wanted.pop(stamp), message))
            else:
                planes[kind_of[connection.topic], stamp] = message
            while pending and (complete(pending[0][1]) or len(pending) > 30):
                yield frame(*pending.popleft())
            oldest = pending[0][1]["image"] if pending else stamp
            for key in [k for k in planes if k[1] < oldest - 1.0]:
                del planes[key]
        while pending:
            yield frame(*pending.popleft())
