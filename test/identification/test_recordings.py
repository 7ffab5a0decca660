"""Recordings are read as they are, and everything wrong with them is named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.identification import Recording, read_recording, write_csv

T = np.arange(400) / 100.0


def motion(**fields) -> Recording:
    q = np.stack([np.sin(T), 0.5 * np.cos(2 * T)], axis=1)
    v = np.stack([np.cos(T), -np.sin(2 * T)], axis=1)
    values = {"time_s": T, "q": q, "v": v, "a": None, "tau": q, **fields}
    return Recording(**{"joint_names": ("shoulder", "elbow"), **values})


def test_csv_comes_back(tmp_path):
    write_csv(tmp_path / "r.csv", motion())
    again = read_recording(tmp_path / "r.csv")
    assert again.joint_names == ("shoulder", "elbow") and again.a is None
    for field in ("time_s", "q", "v", "tau"):
        np.testing.assert_allclose(getattr(again, field), getattr(motion(), field), atol=1e-8)


@pytest.mark.parametrize(
    ("header", "row", "complaint"),
    [
        ("q_a", "1", "column of time; valid: time_s"),
        ("time_s,x_a", "0,1", "unknown column 'x_a'; valid: time_s"),
        ("time_s,dq_a", "0,1", "no column q_<joint>"),
        ("time_s,q_a,tau_b", "0,1,2", "without position: b"),
        ("time_s,q_a,q_b,tau_a", "0,1,2,3", "lacking: b"),
        ("time_s,q_a", "0,one", "not a number"),
        ("time_s,q_a", "0,1,2", "rows of 3 numbers"),
    ],
)
def test_bad_csv_is_named(tmp_path, header, row, complaint):
    (tmp_path / "r.csv").write_text("\n".join([header] + [row] * 30))
    with pytest.raises(InputError, match=complaint):
        read_recording(tmp_path / "r.csv")


def broken(name: str) -> dict:
    m = motion()
    q, time_s = m.q.copy(), T.copy()
    if name == "nan":
        q[7, 1] = np.nan
    elif name == "unsorted":
        time_s[[5, 6]] = time_s[[6, 5]]
    elif name == "gap":
        time_s[200:] += 0.5
    elif name == "milliseconds":
        time_s *= 1000
    return {"q": q, "time_s": time_s}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nan", r"position of joint 'elbow' is nan at sample 7 \(0.070 s\)"),
        ("unsorted", "stamps must increase: 0.060000 s is followed by 0.050000 s"),
        ("gap", "gap of 0.510 s after 1.990 s"),
        ("milliseconds", "must be in seconds"),
    ],
)
def test_broken_recordings(name, complaint):
    with pytest.raises(InputError, match=complaint):
        motion(**broken(name))


def test_joints_of_the_model(rods):
    swapped = motion(joint_names=("elbow", "shoulder"))
    found = swapped.for_model(rods)
    assert found.joint_names == rods.joint_names == ("shoulder", "elbow")
    np.testing.assert_array_equal(found.q, swapped.q[:, ::-1])
    with pytest.raises(InputError, match="unknown joint of the recording 'wrist'; valid: shoulder"):
        motion(joint_names=("wrist", "elbow")).for_model(rods)
    with pytest.raises(InputError, match="unknown held joint 'wrist'; valid: shoulder, elbow"):
        motion().for_model(rods, {"wrist": 0.0})
    with pytest.raises(InputError, match="'elbow' is held and recorded"):
        motion().for_model(rods, {"elbow": 0.0})


def test_wrong_units_and_too_little_motion(rods):
    m = motion()
    with pytest.raises(InputError, match=r"'shoulder' goes from .* it looks like degrees"):
        dataclasses.replace(m, q=np.rad2deg(m.q), v=None).for_model(rods)
    with pytest.raises(InputError, match=r"'shoulder' is 57.* degrees per second"):
        dataclasses.replace(m, v=np.rad2deg(m.v)).for_model(rods)
    with pytest.raises(InputError, match="torque of joint 'shoulder' reaches 2000"):
        dataclasses.replace(m, tau=2000 * np.ones_like(m.q)).for_model(rods)
    with pytest.raises(InputError, match=r"too little motion: 'elbow' by 0.01"):
        dataclasses.replace(m, q=m.q * [1, 0.01], v=None).for_model(rods)


def test_derivatives_of_uneven_noisy_positions():
    random = np.random.default_rng(0)
    time_s = T + random.uniform(-0.002, 0.002, size=len(T))
    q = np.stack([np.sin(3 * time_s), 0.5 * np.cos(2 * time_s)], axis=1)
    noisy = motion(time_s=time_s, q=q + 1e-4 * random.normal(size=q.shape), v=None)
    found = noisy.completed(cutoff_hz=8.0)
    t = found.time_s
    np.testing.assert_allclose(found.v[:, 0], 3 * np.cos(3 * t), atol=0.02)
    np.testing.assert_allclose(found.a[:, 1], -2 * np.cos(2 * t), atol=0.6)
    assert any("resampled" in note for note in found.notes)
    with pytest.raises(InputError, match="cutoff is 80 Hz"):
        noisy.completed(cutoff_hz=80.0)


def write_bag(folder: Path, mcap: bool, names=("elbow", "shoulder"), topic="/joint_states") -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    JointState = types["sensor_msgs/msg/JointState"]
    Header, Time = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    plugin = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
    m = motion()
    with Writer(folder, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection(topic, JointState.__msgtype__, typestore=store)
        for i, t in enumerate(T):
            stamp = Time(sec=5 + int(t), nanosec=round((t % 1) * 1e9))
            order = [1, 0] if i % 2 else [0, 1]
            named = ["shoulder", "elbow"] if i % 2 == 0 else list(names)
            message = JointState(
                header=Header(stamp=stamp, frame_id=""),
                name=named,
                position=m.q[i, order],
                velocity=m.v[i, order],
                effort=np.zeros(0),
            )
            raw = store.serialize_cdr(message, JointState.__msgtype__)
            writer.write(connection, int(1e9 * t), raw)


@pytest.mark.parametrize("mcap", [False, True])
def test_bags(tmp_path, mcap):
    write_bag(tmp_path / "bag", mcap)
    paths = [tmp_path / "bag", next((tmp_path / "bag").glob("*.mcap" if mcap else "*.db3"))]
    for path in paths:
        found = read_recording(path, "/joint_states")
        assert found.joint_names == ("shoulder", "elbow") and found.tau is None
        np.testing.assert_allclose(found.time_s, T, atol=1e-8)
        np.testing.assert_allclose(found.q, motion().q)
        np.testing.assert_allclose(found.v, motion().v)
    with pytest.raises(InputError, match="no joint states on /other; valid: /joint_states"):
        read_recording(tmp_path / "bag", "/other")


def test_bag_of_changing_joints(tmp_path):
    write_bag(tmp_path / "bag", True, names=("elbow", "wrist"))
    with pytest.raises(InputError, match=r"message 1 names other joints .* shoulder, wrist"):
        read_recording(tmp_path / "bag")


def test_unreadable(tmp_path):
    (tmp_path / "x.mcap").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.mcap"):
        read_recording(tmp_path / "x.mcap")
    with pytest.raises(InputError, match="no file or folder"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(InputError, match=r"valid: \.csv"):
        read_recording(tmp_path / "x.txt")
