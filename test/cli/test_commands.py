"""The command ``drrobot``, run in this process."""

import csv

import numpy as np
import pytest
import torch

from drrobot_ros.cli import main
from drrobot_ros.commands.robots import joints_from
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.media import read_sequence, write_image
from drrobot_ros.rendering import render_robot
from drrobot_ros.splats import GaussianRobot


@pytest.fixture
def arm_file(models_root):
    return str(models_root / "six_axis_arm" / "six_axis_arm.urdf")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["view", "--robot", "nothing.urdf"], "nothing.urdf"),
        (["view", "--width", "1"], "width is 1; valid: 16 to 8192 px"),
        (["view", "--robot", "ARM", "--joints", "1", "2"], "--joints has 2 numbers"),
        (["view", "--robot", "ARM", "--joints", "joint_9=1"], "unknown joint 'joint_9'"),
        (["view", "--robot", "ARM", "--splats", "no.npz"], "no.npz"),
        (["bench", "nothing"], "unknown benchmark 'nothing'; valid: "),
        (["demo", "--seconds", "1"], "seconds is 1.0; valid: 3.0 to 600.0 s"),
        (
            ["estimate", "nothing.mp4", "--camera", *"9999", "--camera-pose", *"001000"],
            "there is no file or folder nothing.mp4",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, complaint, arm_file, capsys):
    assert main([arm_file if word == "ARM" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert complaint in error
    assert error.count("\n") == 1


def test_no_command_lists_them(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["nonsense"])
    assert exit_.value.code == 2
    assert "choose from" in capsys.readouterr().err


def test_info_of_installation_and_robot(arm_file, capsys):
    assert main(["info"]) == 0
    assert "C++ kernels" in capsys.readouterr().out
    assert main(["info", "--robot", arm_file]) == 0
    assert "joint_6" in capsys.readouterr().out


def test_bench_lists_what_there_is(capsys):
    assert main(["bench"]) == 0
    names = capsys.readouterr().out.split()
    assert {"live", "rasterize"} <= set(names)
    assert "common" not in names


def test_view_writes_picture_and_turntable(arm_file, tmp_path):
    out = tmp_path / "robot.png"
    common = ["view", "--robot", arm_file, "--splat-count", "2000", "--width", "96"]
    common += ["--height", "72", "--output"]
    assert main([*common, str(out)]) == 0
    image = next(read_sequence(out, 0.0)[1])
    assert image.shape == (72, 96, 3)
    assert (image[0] == 255).all()  # background
    assert (image.min(axis=2) < 200).mean() > 0.02  # robot
    turn = tmp_path / "robot.mp4"
    assert main([*common, str(turn), "--turntable", "3"]) == 0
    first, second, _ = read_sequence(turn, 0.0)[1]
    assert np.abs(first.astype(int) - second).max() > 50
    assert main([*common, str(tmp_path / "robot.gif"), "--turntable", "3"]) == 2


def test_joints_by_name_or_number(robot):
    model = robot("six_axis_arm")
    neutral = model.neutral().numpy()
    np.testing.assert_array_equal(joints_from([], model), neutral)
    named = joints_from(["joint_2=0.25"], model)
    assert named[1] == 0.25
    np.testing.assert_array_equal(np.delete(named, 1), np.delete(neutral, 1))
    numbers = joints_from([str(i / 10) for i in range(6)], model)
    np.testing.assert_allclose(numbers, np.arange(6) / 10)
    for words in (["joint_2=x"], ["1", "joint_2=1"], ["nan"] * 6):
        with pytest.raises(InputError):
            joints_from(words, model)
    with pytest.raises(InputError, match="are these degrees"):
        joints_from(["30", "-45", "20", "90", "0", "60"], model)


def test_estimate_finds_the_joints_of_images(robot, arm_file, tmp_path, capsys):
    model = robot("six_axis_arm")
    gaussians = GaussianRobot.from_model(model, count=4000)
    camera = PinholeCamera.from_fov(320, 240, 0.7)
    T = look_at((1.3, -0.9, 0.8), (0.1, 0, 0.45))
    q = torch.tensor([0.2, 0.4, -0.6, 0.3, 0.7, 0.1], dtype=torch.float64)
    for i in range(3):
        green = torch.tensor([0.35, 0.5, 0.4])
        rgb, _, _ = render_robot(model, gaussians, q + 0.02 * i, T, camera, green)
        write_image(tmp_path / f"{i}.png", (rgb.clamp(0, 1).numpy() * 255).astype(np.uint8))
    start = [str(v) for v in (q + 0.1).tolist()]
    words = ["estimate", str(tmp_path), "--robot", arm_file, "--splat-count", "4000"]
    words += ["--camera", *(str(v) for v in (camera.fx, camera.fy, camera.cx, camera.cy))]
    words += ["--camera-pose", *(str(v) for v in numbers_from_pose(T))]
    words += ["--joints", *start, "--output", str(tmp_path / "out"), "--tracker-iterations", "6"]
    assert main(words) == 0
    assert "3 images, tracking at the end" in capsys.readouterr().out
    with (tmp_path / "out" / "estimate.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for i, row in enumerate(rows):
        found = [float(row[f"joint_{k}"]) for k in range(1, 7)]
        error = np.rad2deg(np.abs(np.array(found) - (q + 0.02 * i).numpy()))
        assert error[[0, 1, 2, 4]].max() < 2.0  # of 5.7; of the rolls of the wrist it says less
        assert float(row["joint_1_std"]) > 0
    _, overlays = read_sequence(tmp_path / "out" / "overlay.mp4", 0.0)
    assert len(list(overlays)) == 3
    away = T.copy()
    away[:3, :3] = T[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    k = words.index("--camera-pose") + 1
    words[k : words.index("--joints")] = [str(v) for v in numbers_from_pose(away)]
    assert main([*words, "--max-images", "1"]) == 1
    assert "outside the picture" in capsys.readouterr().out
    assert (tmp_path / "out" / "overlay.png").is_file()
