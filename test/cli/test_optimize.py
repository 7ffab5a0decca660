"""``drrobot optimize``: files in, pictures and a safe trajectory out."""

import json

import numpy as np
import pytest
import torch

from drrobot_ros.cli import main
from drrobot_ros.control.motion_files import read_motion, write_motion
from drrobot_ros.control.points.robot_points import visible_points
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.media import write_image
from drrobot_ros.rendering import render_robot
from drrobot_ros.rendering.coverage import LinkMeshes
from drrobot_ros.splats import GaussianRobot

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])
CAMERA = PinholeCamera.from_fov(160, 120, 0.8)
T = look_at(np.array([1.5, 0.7, 0.8]), np.array([0.0, 0.0, 0.4]))


@pytest.fixture(scope="module")
def common(models_root) -> list[str]:
    K = CAMERA.K
    words = ["--robot", str(models_root / "six_axis_arm" / "six_axis_arm.urdf")]
    words += ["--splat-count", "1500", "--joints", *map(str, Q)]
    words += ["--camera", *(str(x) for x in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))]
    words += ["--camera-pose", *map(str, numbers_from_pose(T))]
    return ["optimize", *words, "--plan-budget-s", "0"]


@pytest.fixture(scope="module")
def splats(robot):
    return GaussianRobot.from_model(robot("six_axis_arm"), count=1500)


@pytest.fixture(autouse=True)
def sampled_once(monkeypatch, splats):
    monkeypatch.setattr("drrobot_ros.commands.optimize.load_splats", lambda *_: splats)


def rendered(robot, splats, q) -> np.ndarray:
    """Return a picture: the splats' colours in the outline of the meshes, which real ones show."""
    arm = robot("six_axis_arm")
    with torch.no_grad():
        rgb, alpha, _ = render_robot(arm, splats, torch.from_numpy(q), T, CAMERA)
    color = rgb.numpy() / np.maximum(alpha.numpy(), 1e-3)[..., None]
    links = arm.forward_kinematics(torch.from_numpy(q)).numpy()
    share = LinkMeshes.of(arm.visuals).coverage(np.linalg.inv(T) @ links, CAMERA)[..., None]
    return (255 * (share * color.clip(0, 1) + 1 - share)).astype(np.uint8)


def test_a_picture_becomes_a_safe_trajectory(common, robot, splats, tmp_path) -> None:
    arm, goal = robot("six_axis_arm"), Q + np.array([0.4, -0.3, 0.4, 0.0, -0.3, 0.0])
    write_image(tmp_path / "goal.png", rendered(robot, splats, goal))
    out = tmp_path / "out"
    words = ["--image", str(tmp_path / "goal.png"), "--output", str(out)]
    assert main([*common, *words]) == 0
    names, motion = read_motion(out / "trajectory.yaml")
    assert names == arm.joint_names
    assert np.allclose(motion.q[0], Q, atol=1e-5)
    assert np.degrees(np.abs(motion.q[-1] - goal))[:4].max() < 5
    SafetyGate(arm).check(motion, Q)
    about = json.loads((out / "plan.json").read_text())
    assert about["cost"] < about["start_cost"] and about["stopped"] in ("converged", "iterations")
    for name in ("start", "goal", "result", "overlay", "losses"):
        assert (out / f"{name}.png").is_file()


def test_a_motion_that_is_not_safe_is_not_written(common, robot, splats, tmp_path, capsys) -> None:
    arm = robot("six_axis_arm")
    at = arm.forward_kinematics(torch.from_numpy(Q))[-1].numpy()[:3, 3]
    (tmp_path / "around.yaml").write_text(
        "obstacles:\n- {name: ball, shape: sphere, size: [0.1], "
        f"pose: {[*at.tolist(), 0, 0, 0]}}}\n"
    )
    points = visible_points(arm, splats, Q, view(), 60)
    pixels, _, _ = points.project(arm, Q + np.linspace(0, 0.2, 5)[:, None], view())
    TrackSet(pixels, (160, 120), np.arange(5) / 10).save(tmp_path / "t.npz")
    out = tmp_path / "out"
    words = ["--tracks", str(tmp_path / "t.npz"), "--output", str(out)]
    assert main([*common, *words]) == 0
    assert len(json.loads((out / "plan.json").read_text())["waypoints"]) == 5
    (out / "trajectory.yaml").unlink()
    words += ["--obstacles", str(tmp_path / "around.yaml")]
    assert main([*common, *words]) == 1
    assert "refused, no trajectory is written: collision" in capsys.readouterr().out
    assert not (out / "trajectory.yaml").exists()
    assert "collision" in json.loads((out / "plan.json").read_text())["refused"]


def view():
    from drrobot_ros.control.candidate import Viewpoint

    return Viewpoint(CAMERA, T)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "nothing is wanted"),
        (["--tracks", "no.npz"], "cannot read tracks from no.npz"),
        (["--image", "no.png"], "there is no file or folder no.png"),
        (["--video", "no.mp4"], "there is no file or folder no.mp4"),
        (["--text", " "], "the prompt is empty"),
        (["--text", "wave", "--text-model", "/nowhere/clip"], "/nowhere/clip"),
        (["--image", "PICTURE", "--free-joints", "joint_9"], "unknown joint 'joint_9'"),
        (["--image", "PICTURE", "--generator", "/nowhere"], "--generator needs --image"),
        (["--video", "PICTURE"], "at least two images"),
        (["--image", "PICTURE", "--obstacles", "no.yaml"], "cannot read obstacles"),
    ],
)
def test_bad_input_is_one_line(common, tmp_path, capsys, words, complaint) -> None:
    write_image(tmp_path / "picture.png", np.full((120, 160, 3), 200, np.uint8))
    words = [str(tmp_path / "picture.png") if w == "PICTURE" else w for w in words]
    assert main([*common, "--output", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and complaint in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "trajectory.yaml").exists()


def test_a_picture_needs_a_camera(models_root, tmp_path, capsys) -> None:
    write_image(tmp_path / "picture.png", np.full((120, 160, 3), 200, np.uint8))
    arm = str(models_root / "six_axis_arm" / "six_axis_arm.urdf")
    assert main(["optimize", "--robot", arm, "--image", str(tmp_path / "picture.png")]) == 2
    assert "the camera is not known" in capsys.readouterr().err


def test_files_of_motions_come_back(tmp_path) -> None:
    motion = Trajectory(np.array([0.0, 0.5]), *np.random.default_rng(0).normal(size=(3, 2, 3)))
    for name in ("m.yaml", "m.json"):
        write_motion(tmp_path / name, ["a", "b", "c"], motion, {"robot": "arm"})
        names, back = read_motion(tmp_path / name)
        assert names == ("a", "b", "c") and np.allclose(back.v, motion.v, atol=1e-6)
    with pytest.raises(InputError, match=r"ends in .yaml"):
        write_motion(tmp_path / "m.txt", ["a"], motion, {})
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with pytest.raises(InputError, match="is not of format"):
        read_motion(tmp_path / "other.yaml")
    text = (tmp_path / "m.json").read_text()
    (tmp_path / "cut.json").write_text(text.replace('"c"', '"c", "d"'))
    with pytest.raises(InputError, match="4 joint names, but 3 positions"):
        read_motion(tmp_path / "cut.json")
