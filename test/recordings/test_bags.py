"""Bags written by rosbags and read back: pixels, joints between stamps, topics, frames."""

import io
import struct

import bags
import numpy as np
import pytest
from PIL import Image

from drrobot_ros.errors import InputError
from drrobot_ros.recordings import open_recording
from drrobot_ros.recordings.static_transforms import body_frame, find_transform
from drrobot_ros.recordings.topics import TopicFlags

NAMES = ("joint_1", "joint_2", "gripper")
COLOR, DEPTH = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"
INFO, JOINTS = "/camera/color/camera_info", "/joint_states"
START = 100.0


def pixels(i):
    return np.random.default_rng(i).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def depth_mm(i):
    depth = np.random.default_rng(i).integers(300, 2000, (48, 64), dtype=np.uint16)
    depth[0, 0] = 0
    return depth


@pytest.fixture
def recorded():
    """Three images 0.1 s apart; joints 40 times a second, arm and gripper in separate messages."""
    bag = bags.Bag()
    for i in range(3):
        t = START + 0.1 * i
        bag.add(COLOR, t + 0.05, bags.image(t, pixels(i)[:, :, ::-1], "bgr8"))
        # Depth arrives later than the next image, and is stamped a little aside.
        bag.add(DEPTH, t + 0.18, bags.image(t + 0.004, depth_mm(i), "16UC1"))
        bag.add(INFO, t + 0.05, bags.camera_info(t))
    for k in range(-20, 40):
        t = START + 0.025 * k + 0.0101
        bag.add(JOINTS, t, bags.joint_state(t, NAMES[:2], [t - START, 2 * (t - START)]))
        bag.add(JOINTS, t + 1e-3, bags.joint_state(t + 1e-3, NAMES[2:], [0.01]))
    bag.add("/robot_description", START - 1, bags.text("<robot name='r'/>"))
    bag.add(
        "/tf_static",
        START - 1,
        bags.transforms(
            ("base_link", "table", (1, 0, 0), (0, 0, 0, 1)),
            ("table", "camera_link", (0, 0, 0.5), (0, 0, 1, 0)),
            ("camera_link", "camera_color_optical_frame", (0, 0, 0), (-0.5, 0.5, -0.5, 0.5)),
        ),
    )
    return bag


@pytest.mark.parametrize("mcap", [False, True])
def test_what_was_written_is_read(recorded, tmp_path, mcap):
    folder = recorded.write(tmp_path / "bag", mcap)
    recording = open_recording(folder)
    assert recording.count == 3
    assert set(recording.joint_names) == set(NAMES)
    assert recording.description == "<robot name='r'/>"
    assert recording.camera_frame == "camera_color_optical_frame"
    # ROS counts pixels from the centre of the first one, we from its corner.
    assert recording.lens.camera.cx == pytest.approx(32.0)
    for _ in range(2):  # may be read again
        frames = list(recording.read())
        assert [round(f.stamp_s - START, 6) for f in frames] == [0.0, 0.1, 0.2]
        for i, frame in enumerate(frames):
            planes = frame.planes()
            np.testing.assert_array_equal(planes.image, pixels(i))
            assert np.isnan(planes.depth_m[0, 0])
            np.testing.assert_allclose(planes.depth_m[1:], depth_mm(i)[1:] * 1e-3, rtol=1e-6)
            # Between readings: where the joints were when the image was taken.
            assert frame.positions["joint_1"] == pytest.approx(0.1 * i, abs=1e-6)
            assert frame.positions["joint_2"] == pytest.approx(0.2 * i, abs=1e-6)
            assert frame.positions["gripper"] == pytest.approx(0.01)
            assert frame.speed == pytest.approx(2.0, rel=1e-3)


def test_one_file_of_each_storage(recorded, tmp_path):
    recorded.write(tmp_path / "a", mcap=True)
    recorded.write(tmp_path / "b")
    for file in (next((tmp_path / "a").glob("*.mcap")), next((tmp_path / "b").glob("*.db3"))):
        assert open_recording(file).count == 3


def test_compressed_images_and_depth(recorded, tmp_path):
    bag = recorded.without(COLOR, DEPTH)
    for i in range(3):
        t = START + 0.1 * i
        png, deep = io.BytesIO(), io.BytesIO()
        Image.fromarray(pixels(i)).save(png, "png")
        # 32FC1 is kept as quantized inverse depth: depth = a / (value - b)
        a, b = 5000.0, 2.0
        inverse = np.round(a / (depth_mm(1)[1:] * 1e-3) + b).astype(np.uint16)
        Image.fromarray(inverse).save(deep, "png")
        data = struct.pack("<iff", 0, a, b) + deep.getvalue()
        bag.add(f"{COLOR}/compressed", t, bags.compressed(t, png.getvalue(), "rgb8; png"))
        form = "32FC1; compressedDepth"
        bag.add(f"{DEPTH}/compressedDepth", t, bags.compressed(t, data, form))
    recording = open_recording(bag.write(tmp_path / "bag"))
    planes = next(recording.read()).planes()
    np.testing.assert_array_equal(planes.image, pixels(0))
    np.testing.assert_allclose(planes.depth_m, depth_mm(1)[1:] * 1e-3, rtol=2e-3)


def test_depth_of_the_other_byte_order(recorded, tmp_path):
    bag = recorded.without(DEPTH)
    for i in range(3):
        t = START + 0.1 * i
        message = bags.image(t, depth_mm(i).astype(">u2"), "16UC1")
        message.is_bigendian = 1
        bag.add(DEPTH, t, message)
    depth = next(open_recording(bag.write(tmp_path / "bag")).read()).planes().depth_m
    np.testing.assert_allclose(depth[1:], depth_mm(0)[1:] * 1e-3, rtol=1e-6)


def test_where_the_camera_is_by_fixed_frames(recorded, tmp_path):
    found = open_recording(recorded.write(tmp_path / "bag")).static_transforms
    T = find_transform(found, "base_link", "camera_color_optical_frame")
    # The camera stands at x = 1, half a metre up, and looks back along -x.
    np.testing.assert_allclose(T[:3, 3], [1, 0, 0.5])
    np.testing.assert_allclose(T[:3, 2], [-1, 0, 0], atol=1e-12)
    back = find_transform(found, "camera_color_optical_frame", "base_link")
    np.testing.assert_allclose(back @ T, np.eye(4), atol=1e-12)
    assert find_transform(found, "base_link", "elsewhere") is None
    assert body_frame(found, "camera_color_optical_frame", ["base_link"]) == "camera_link"


@pytest.mark.parametrize(
    ("gone", "complaint"),
    [
        ([COLOR], r"no colour images in .*; it has: .*aligned_depth_to_color/image_raw \(Image\)"),
        ([JOINTS], r"no joint states in .*/camera/color/image_raw \(Image\)"),
        ([INFO], r"no camera_info in .*/joint_states \(JointState\)"),
    ],
)
def test_missing_topics_are_told_with_those_there_are(recorded, tmp_path, gone, complaint):
    folder = recorded.without(*gone).write(tmp_path / "bag")
    with pytest.raises(InputError, match=complaint):
        open_recording(folder)


def test_several_cameras_must_be_told_apart(recorded, tmp_path):
    for i in range(3):
        t = START + 0.1 * i
        recorded.add("/wrist/image_rect", t, bags.image(t, pixels(9), "rgb8"))
        recorded.add("/wrist/camera_info", t, bags.camera_info(t, d=(-0.2, 0, 0, 0, 0)))
    folder = recorded.write(tmp_path / "bag")
    with pytest.raises(InputError, match=r"several .*/wrist/image_rect; say which: --image-topic"):
        open_recording(folder)
    wrist = open_recording(folder, topics=TopicFlags(image_topic="/wrist/image_rect"))
    assert not wrist.lens.distorted  # the topic says that it is rectified
    np.testing.assert_array_equal(next(wrist.read()).planes().image, pixels(9))
    with pytest.raises(InputError, match="no joint states on /other of type JointState"):
        open_recording(folder, topics=TopicFlags(joint_topic="/other", image_topic=COLOR))


def test_images_beyond_the_joint_states_are_left_out(recorded, tmp_path):
    for t in (START - 3.0, START + 5.0):
        recorded.add(COLOR, t, bags.image(t, pixels(0), "rgb8"))
    recording = open_recording(recorded.write(tmp_path / "bag"))
    assert recording.count == len(list(recording.read())) == 3
    assert any("2 images left out" in note for note in recording.notes)


def test_clocks_that_never_meet(recorded, tmp_path):
    bag = recorded.without(JOINTS)
    bag.add(JOINTS, START, bags.joint_state(5.0, NAMES, [0, 0, 0]))
    bag.add(JOINTS, START, bags.joint_state(5.1, NAMES, [0, 0, 0]))
    with pytest.raises(InputError, match="stamped by the same clock"):
        open_recording(bag.write(tmp_path / "bag"))


def test_camera_without_calibration(recorded, tmp_path):
    bag = recorded.without(INFO)
    bag.add(INFO, START, bags.camera_info(START, k=(0.0,) * 9))
    with pytest.raises(InputError, match=r"/camera/color/camera_info of .*not calibrated"):
        open_recording(bag.write(tmp_path / "bag"))


def test_camera_info_of_another_resolution(recorded, tmp_path, robot):
    bag = recorded.without(INFO)
    bag.add(INFO, START, bags.camera_info(START, 128, 96))
    frame = next(open_recording(bag.write(tmp_path / "bag")).read())
    model = robot("six_axis_arm")
    with pytest.raises(InputError, match="64x48, its camera 128x96: intrinsics of another resol"):
        frame.observation(model)


def test_no_bag(tmp_path):
    with pytest.raises(InputError, match="there is no file or folder"):
        open_recording(tmp_path / "nothing")
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
    with pytest.raises(InputError, match="cannot read"):
        open_recording(tmp_path)
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(InputError, match="cannot tell what"):
        open_recording(tmp_path / "file.txt")
