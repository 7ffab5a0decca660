"""Reading and writing recordings: CSV, rosbag2 and MCAP.

CSV: a header, a row per sample; column ``time_s`` (or ``time``, ``t``, ``stamp_s``) and per joint
``q_<joint>`` [rad, m], and optionally ``dq_<joint>``, ``ddq_<joint>`` and ``tau_<joint>`` [N m, N].
Bags: ``sensor_msgs/msg/JointState``; position, velocity and effort.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.identification.recording import Recording

Array = NDArray[np.float64]

TIME_NAMES = ("time_s", "time", "t", "stamp_s")
PREFIXES = {"q_": "q", "dq_": "v", "ddq_": "a", "tau_": "tau"}
JOINT_STATE = "sensor_msgs/msg/JointState"


def read_recording(path: str | Path, topic: str = "") -> Recording:
    """Return the recording in a CSV file, an MCAP file or a rosbag2 (folder or ``.db3`` file).

    Args:
        path: of the file or folder.
        topic: of the joint states in a bag; empty: the only one there is.

    Raises:
        InputError: it cannot be read, has unknown columns or no such topic, or fails the checks of
            `Recording`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        return read_bag(path, topic)
    if path.suffix.lower() == ".csv":
        return read_csv(path)
    raise InputError(f"cannot tell what {path} is; valid: .csv, .mcap, .db3, folder of a rosbag2")


def read_csv(path: Path) -> Recording:
    """Return the recording in a CSV file; columns as above."""
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise InputError(f"{path} has no rows")
    header = [name.strip() for name in rows[0]]
    stamps = [name for name in header if name in TIME_NAMES]
    if len(stamps) != 1:
        raise InputError(f"{path} needs one column of time; valid: {', '.join(TIME_NAMES)}")
    where: dict[str, dict[str, int]] = {field: {} for field in PREFIXES.values()}
    for i, name in enumerate(header):
        if name in TIME_NAMES:
            continue
        prefix = next((p for p in PREFIXES if name.startswith(p)), None)
        if prefix is None:
            raise InputError(
                f"{path}: unknown column {name!r}; valid: {', '.join(TIME_NAMES)}, "
                + ", ".join(f"{p}<joint>" for p in PREFIXES)
            )
        where[PREFIXES[prefix]][name[len(prefix) :]] = i
    names = tuple(where["q"])
    if not names:
        raise InputError(f"{path} has no column q_<joint>")
    try:
        table = np.array([[float(x or "nan") for x in row] for row in rows[1:]])
    except ValueError as error:
        raise InputError(f"{path}: not a number, or rows of different lengths: {error}") from error
    if table.shape[1] != len(header):
        raise InputError(f"{path}: {len(header)} names, but rows of {table.shape[1]} numbers")
    fields: dict[str, Array | None] = {}
    for field, prefix in zip(PREFIXES.values(), PREFIXES, strict=True):
        columns = where[field]
        strange = sorted(set(columns) - set(names))
        lacking = [n for n in names if n not in columns] if columns else []
        if strange or lacking:
            raise InputError(
                f"{path}: columns {prefix}<joint> must be there for all joints or none: "
                f"{', '.join(names)}; lacking: {', '.join(lacking) or 'none'}; "
                f"without position: {', '.join(strange) or 'none'}"
            )
        fields[field] = table[:, [columns[n] for n in names]] if columns else None
    q, v, a, tau = (fields[field] for field in PREFIXES.values())
    assert q is not None
    return Recording(table[:, header.index(stamps[0])], q, v, a, tau, names)


def write_csv(path: str | Path, recording: Recording) -> None:
    """Write a recording, or a trajectory, as `read_csv` reads it."""
    header, columns = ["time_s"], [recording.time_s[:, None]]
    for prefix, field in PREFIXES.items():
        values = getattr(recording, field)
        if values is not None:
            header += [f"{prefix}{name}" for name in recording.joint_names]
            columns.append(values)
    with Path(path).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([f"{x:.9g}" for x in row] for row in np.concatenate(columns, axis=1))


def read_bag(path: Path, topic: str = "") -> Recording:
    """Return the joint states of a rosbag2 or MCAP file.

    Stamps are the messages' own, or, where they have none, those of their arrival. Messages must
    all name the same joints, in any order.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:  # pragma: no cover
        raise InputError("reading bags needs the package rosbags: pip install rosbags") from error
    source = (
        path.parent if path.suffix == ".db3" and (path.parent / "metadata.yaml").is_file() else path
    )
    try:
        with AnyReader([source], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            found = [c for c in reader.connections if c.msgtype == JOINT_STATE]
            topics = sorted({c.topic for c in found})
            if topic:
                found = [c for c in found if c.topic == topic]
            elif len(topics) > 1:
                raise InputError(f"{path} has several topics of joint states: {', '.join(topics)}")
            if not found:
                raise InputError(
                    f"{path} has no joint states on {topic or 'any topic'}; valid: "
                    f"{', '.join(topics) or 'none'}"
                )
            messages = [
                (arrival, reader.deserialize(raw, c.msgtype))
                for c, arrival, raw in reader.messages(connections=found)
            ]
    except (AnyReaderError, OSError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return from_messages(messages)


def from_messages(messages: list[tuple[int, Any]]) -> Recording:
    """Return the recording of (arrival in ns, JointState message) pairs.

    Raises:
        InputError: messages that name other joints than the first, or lack positions.
    """
    if not messages:
        raise InputError("there are no joint states in the recording")
    names = tuple(messages[0][1].name)
    stamped = all(m.header.stamp.sec or m.header.stamp.nanosec for _, m in messages)
    columns: dict[str, list[Array]] = {"position": [], "velocity": [], "effort": []}
    for i, (_, message) in enumerate(messages):
        if set(message.name) != set(names):
            other = sorted(set(message.name) ^ set(names))
            raise InputError(
                f"message {i} names other joints than the first: {', '.join(other)}; record one "
                "publisher only"
            )
        order = [list(message.name).index(name) for name in names]
        for field, values in columns.items():
            numbers = np.asarray(getattr(message, field), dtype=np.float64)
            if len(numbers) == len(names):
                values.append(numbers[order])
            elif len(numbers) or field == "position":
                raise InputError(f"message {i} has {len(numbers)} {field} for {len(names)} joints")
    stamps = [
        m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec if stamped else 1e-9 * arrival
        for arrival, m in messages
    ]
    notes: list[str] = [] if stamped else ["messages have no stamps: times are those of arrival"]
    for field, values in columns.items():
        if values and len(values) != len(messages):
            raise InputError(
                f"{field} is in {len(values)} of {len(messages)} messages; all or none"
            )

    def table(field: str) -> Array | None:
        values = columns[field]
        return None if not values or np.isnan(values).all() else np.array(values)

    time_s = np.array(stamps)
    return Recording(
        time_s - time_s[0],
        np.array(columns["position"]),
        table("velocity"),
        None,
        table("effort"),
        names,
        tuple(notes),
    )
