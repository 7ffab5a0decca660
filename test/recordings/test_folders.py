"""Folders of images, depth, masks and joint readings in the layouts people have."""

import numpy as np
import pytest
from PIL import Image

from drrobot_ros.errors import InputError
from drrobot_ros.recordings import open_recording

NAMES = [f"joint_{i}" for i in range(1, 7)]
HEADER = ",".join(NAMES)
CALIBRATION = """
image_width: 64
image_height: 48
camera_matrix: {rows: 3, cols: 3, data: [60, 0, 31.5, 0, 60, 23.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}
"""
PRINTED = """
header: {frame_id: camera}
height: 48
width: 64
distortion_model: plumb_bob
d: [0.0, 0.0, 0.0, 0.0, 0.0]
k: [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]
---
"""


def picture(i):
    return np.random.default_rng(i).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def readings(i):
    return [0.1 * i + j for j in range(6)]


def write_table(path, header=HEADER, rows=range(3), first=()):
    lines = [header] if header else []
    for n, i in enumerate(rows):
        lines.append(",".join([*(str(f[n]) for f in first), *map(str, readings(i))]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def plain(tmp_path):
    """images/, depth/ and masks/, a table and a calibration."""
    for name in ("images", "depth", "masks"):
        (tmp_path / name).mkdir()
    for i in range(3):
        Image.fromarray(picture(i)).save(tmp_path / "images" / f"{i + 9}.png")
        depth = np.full((48, 64), 1000 + i, np.uint16)
        depth[0, 0] = 0
        Image.fromarray(depth).save(tmp_path / "depth" / f"{i + 9}.png")
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(tmp_path / "masks" / "10.png")
    write_table(tmp_path / "joints.csv")
    (tmp_path / "camera_info.yaml").write_text(CALIBRATION)
    return tmp_path


def test_plain_layout(plain):
    recording = open_recording(plain)
    assert recording.count == 3
    assert recording.notes == ("3 images, 3 with depth, 1 with masks",)
    assert recording.lens.camera.cx == 32.0  # half a pixel more than in ROS's file
    frames = list(recording.read())
    assert [f.name for f in frames] == ["9.png", "10.png", "11.png"]  # by number, not by letter
    for i, frame in enumerate(frames):
        planes = frame.planes()
        np.testing.assert_array_equal(planes.image, picture(i))
        assert planes.depth_m[1, 1] == pytest.approx(1.0 + 0.001 * i)
        assert np.isnan(planes.depth_m[0, 0])
        assert (planes.mask is not None) == (i == 1)
        assert list(frame.positions.values()) == readings(i)


def test_numbered_files_in_one_folder(tmp_path):
    for i in range(3):
        Image.fromarray(picture(i)).save(tmp_path / f"image_{i}.png")
        Image.fromarray(np.full((48, 64), 255, np.uint8)).save(tmp_path / f"image_{i}_mask.png")
        np.save(tmp_path / f"depth_{i}.npy", np.full((48, 64), 1.5, np.float32))
        np.save(tmp_path / f"joint_states_{i}.npy", np.array(readings(i)))
    (tmp_path / "camera_info.yaml").write_text(PRINTED)
    recording = open_recording(tmp_path, joint_names=tuple(NAMES))
    frames = list(recording.read())
    assert recording.count == len(frames) == 3
    planes = frames[2].planes()
    assert planes.depth_m[3, 3] == 1.5
    assert (planes.mask == 1).all()
    assert list(frames[2].positions.values()) == readings(2)


def test_observation_is_in_the_models_order(plain, robot):
    model = robot("six_axis_arm")
    turned = ",".join(f"q_{n}" for n in reversed(NAMES))
    write_table(
        plain / "joints.csv", f"image,time_s,{turned}", first=(["11", "9", "10"], [5, 6, 7])
    )
    frames = list(open_recording(plain).read())
    assert [f.name for f in frames] == ["11.png", "9.png", "10.png"]
    assert [f.stamp_s for f in frames] == [5, 6, 7]
    seen = frames[1].observation(model)
    np.testing.assert_allclose(seen.joint_positions, readings(1)[::-1])
    np.testing.assert_array_equal(seen.image, picture(0))


def test_wrong_resolution(plain, robot):
    (plain / "camera_info.yaml").write_text(
        CALIBRATION.replace("image_width: 64", "image_width: 32")
    )
    frame = next(open_recording(plain).read())
    with pytest.raises(InputError, match=r"9\.png: the image is 64x48, its camera 32x48"):
        frame.observation(robot("six_axis_arm"))


def test_joints_that_were_not_read(plain, robot):
    write_table(plain / "joints.csv", ",".join(["elbow", *NAMES[1:]]))
    recording = open_recording(plain)
    with pytest.raises(InputError, match=r"no joint 'joint_1' in .*; recorded: elbow, joint_2"):
        recording.check_joints(robot("six_axis_arm"))


def test_joints_of_other_names_and_held_ones(plain, robot):
    model = robot("six_axis_arm")
    write_table(plain / "joints.csv", ",".join(f"left_{n}" for n in NAMES))
    recording = open_recording(plain)
    with pytest.raises(InputError, match="no joint 'joint_1' in"):
        recording.check_joints(model)
    found = recording.adapted("left_")
    found.check_joints(model)
    np.testing.assert_allclose(next(found.read()).q(model), readings(0))
    with pytest.raises(InputError, match=r"called right_\*; recorded: left_joint_1"):
        recording.adapted("right_")
    held = recording.adapted("left_", {"gripper": 0.04})
    assert next(held.read()).positions["gripper"] == 0.04
    with pytest.raises(InputError, match="'joint_2' is held and recorded"):
        recording.adapted("left_", {"joint_2": 0.0})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda p: (p / "joints.csv").unlink(), "no joint readings in"),
        (lambda p: write_table(p / "joints.csv", rows=range(2)), "2 rows, there are 3 images"),
        (lambda p: write_table(p / "joints.csv", None), "no header and 6 columns; the robot has 0"),
        (lambda p: write_table(p / "joints.csv", "a,b"), "row 0: 6 values, the header has 2"),
        (lambda p: (p / "camera_info.yaml").unlink(), "no camera calibration in"),
        (lambda p: (p / "camera_info.yaml").write_text("k: [1]\n"), "cannot reshape"),
        (lambda p: [f.unlink() for f in (p / "images").iterdir()], "no images in"),
        (lambda p: write_table(p / "joints_2.csv"), "several files of joints"),
    ],
)
def test_what_is_missing_is_named(plain, change, complaint):
    change(plain)
    with pytest.raises(InputError, match=complaint):
        open_recording(plain)


def test_broken_files(plain):
    (plain / "images" / "9.png").write_bytes(b"no picture")
    (plain / "depth" / "10.png").write_bytes((plain / "masks" / "10.png").read_bytes())
    frames = list(open_recording(plain).read())
    with pytest.raises(InputError, match=r"cannot read the image .*9\.png"):
        frames[0].planes()
    with pytest.raises(InputError, match=r"10\.png is no depth image: uint8"):
        frames[1].planes()
    table = (plain / "joints.csv").read_text().replace("0.1", "nan", 1)
    (plain / "joints.csv").write_text(table)
    with pytest.raises(InputError, match="row 1: joint_1 is 'nan', which is no number"):
        open_recording(plain)


@pytest.mark.parametrize(
    "text",
    [
        "%YAML:1.0\n---\nimage_Width: 64\nimage_Height: 48\n"
        "Camera_Matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n"
        "   data: [60., 0., 31.5, 0., 60., 23.5, 0., 0., 1.]\n"
        "Distortion_Coefficients: !!opencv-matrix\n   rows: 5\n   cols: 1\n   dt: d\n"
        "   data: [0.1, 0., 0., 0., 0.]\n",
        '{"width": 64, "height": 48, "fx": 60.0, "fy": 60.0, "ppx": 31.5, "ppy": 23.5,'
        ' "coeffs": [0.1, 0, 0, 0, 0]}',
        "image_width: 64\nimage_height: 48\n"
        "camera_matrix: [[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]]\n"
        "dist_coeffs: [[0.1, 0, 0, 0, 0]]\n",
    ],
    ids=["opencv", "numbers", "lists"],
)
def test_calibrations_of_other_tools(plain, text):
    (plain / "camera_info.yaml").write_text(text)
    lens = open_recording(plain).lens
    assert (lens.camera.width, lens.camera.height) == (64, 48)
    assert (lens.camera.fx, lens.camera.cx, lens.camera.cy) == (60.0, 32.0, 24.0)
    assert lens.distortion == (0.1, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_cells_that_are_not_separated_by_commas(plain, sign):
    table = plain / "joints.csv"
    table.write_text("\ufeff" + table.read_text().replace(",", sign), encoding="utf-8")
    frames = list(open_recording(plain).read())
    assert [list(f.positions.values()) for f in frames] == [readings(i) for i in range(3)]
    assert list(frames[0].positions) == NAMES


@pytest.mark.parametrize(
    ("called", "message"),
    [("left_{}", "--joint-prefix left_"), ("A{}", "None is called as one of the robot's")],
)
def test_joints_of_other_names_say_what_to_do(plain, robot, called, message):
    model = robot("six_axis_arm")
    names = [called.format(n if "left" in called else i) for i, n in enumerate(model.joint_names)]
    write_table(plain / "joints.csv", ",".join(names))
    with pytest.raises(InputError, match=message):
        open_recording(plain).check_joints(model)


def test_photos_are_turned_as_their_camera_noted(plain):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = Image.fromarray(picture(0)[::-1, ::-1])
    turned.save(plain / "images" / "9.png", exif=exif)
    first = next(iter(open_recording(plain).read()))
    np.testing.assert_array_equal(first.planes().image, picture(0))
