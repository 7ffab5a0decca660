"""Adaptation to photos: colours the model never had are learned, and help on other photos."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros import cli
from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation, Tracker, TrackerConfig
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering import render_robot
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.splats import GaussianRobot, lighting
from drrobot_ros.training.adaptation import AdaptationConfig, PosedPhoto, adapt

CAMERA = PinholeCamera.from_fov(320, 240, 0.8)
CONFIG = AdaptationConfig(width=320, rounds=15, border_px=1, smoothness=0.1)


@pytest.fixture(scope="module")
def scene(arm):
    """A painted arm under a light, before a wall of its own colour, and its plain model."""
    plain = GaussianRobot.from_model(arm, 1500, seed=0)
    grey = dataclasses.replace(plain, colors=torch.full_like(plain.colors, 0.6))
    stripes = (torch.sin(60 * plain.means[:, 2]) > 0).float()[:, None]
    light = lighting.neutral()
    lighting.unpack(light)["ambient"][1:] = 0.15
    painted = dataclasses.replace(
        plain, colors=0.35 + 0.35 * stripes * torch.tensor([1.0, 0.8, 0.6]), light=light
    )
    q = arm.random_configuration(9, 11).numpy() * 0.5
    T = pose_that_sees(arm, q[0], CAMERA, margin=1.2)
    rng = np.random.default_rng(0)
    wall = torch.from_numpy(rng.uniform(0.05, 0.25, (12, 16, 3))).float()
    wall = wall.repeat_interleave(20, 0).repeat_interleave(20, 1)

    def photo(pose, gain=1.0):
        with torch.no_grad():
            rgb, _, _ = render_robot(arm, painted, pose, T, CAMERA, wall)
        pixels = (255 * gain * rgb).clamp(0, 255).round().to(torch.uint8).numpy()
        return PosedPhoto(pixels, CAMERA, pose, T)

    return grey, q, T, photo


@pytest.fixture(scope="module")
def adapted(arm, scene):
    grey, q, _, photo = scene
    return adapt(arm, grey, [photo(p) for p in q[:5]], CONFIG)


def inside_error(arm, gaussians, photo):
    with torch.no_grad():
        target = torch.from_numpy(photo.image.astype(np.float32) / 255)
        rgb, alpha, _ = render_robot(arm, gaussians, photo.q, photo.T_base_camera, CAMERA, target)
    return float((rgb - target).abs()[alpha > 0.9].mean())


def test_photos_not_seen_are_predicted_better(arm, scene, adapted):
    grey, q, _, photo = scene
    before = np.mean([inside_error(arm, grey, photo(p)) for p in q[5:]])
    after = np.mean([inside_error(arm, adapted.gaussians, photo(p)) for p in q[5:]])
    assert after < 0.5 * before, (before, after)
    assert adapted.error < 0.3 * adapted.error_before
    assert torch.equal(adapted.gaussians.means, grey.means)  # shapes stay
    assert 0.3 < adapted.seen.mean() <= 1


def test_unseen_gaussians_follow_their_neighbours(arm, scene, adapted):
    grey, _, _, _ = scene
    unseen = ~torch.from_numpy(adapted.seen)
    colors = adapted.gaussians.colors
    assert (
        bool(torch.isfinite(colors).all()) and 0 <= float(colors.min()) <= float(colors.max()) <= 1
    )
    if bool(unseen.any()):
        assert (colors[unseen] - grey.colors[unseen]).abs().mean() > 0.01


def test_joints_are_found_better_on_other_photos(arm, scene, adapted):
    grey, q, T, photo = scene
    errors = {"plain": [], "adapted": []}
    for name, gaussians in (("plain", grey), ("adapted", adapted.gaussians)):
        config = TrackerConfig(
            color_residual="photometric",
            color_sigma=0.06,
            fine_width=320,
            search_hypotheses=0,
            budget_ms=0.0,
        )
        tracker = Tracker(arm, gaussians, config)
        for i, pose in enumerate(q[5:]):
            offset = np.radians(2.0) * np.random.default_rng(i).choice([-1, 1], arm.nq)
            tracker.reset(pose + offset, T)
            for known in q[:5]:
                tracker.learn_background(Observation(photo(known).image, CAMERA, 0.0), known)
            for stamp in (1.0, 2.0):
                estimate = tracker.update(Observation(photo(pose).image, CAMERA, stamp))
            errors[name].append(np.degrees(np.abs(estimate.q - pose)).mean())
    assert np.median(errors["adapted"]) < 0.6 * np.median(errors["plain"])
    assert np.median(errors["adapted"]) < 1.0, errors


def test_exposure_of_each_photo_is_found(arm, scene):
    grey, q, _, photo = scene
    photos = [photo(q[0]), photo(q[1], gain=0.8), photo(q[2])]
    gains = adapt(arm, grey, photos, CONFIG).exposures.mean(axis=1)
    assert np.isclose(np.prod(gains), 1.0, atol=0.02)
    assert gains[1] < min(gains[0], gains[2]) - 0.05


def test_adapted_robot_is_saved_and_comes_back(adapted, tmp_path):
    adapted.gaussians.save(tmp_path / "arm.npz")
    loaded = GaussianRobot.load(tmp_path / "arm.npz")
    assert torch.equal(loaded.light, adapted.gaussians.light)
    assert torch.allclose(loaded.colors, adapted.gaussians.colors)


def test_the_command_adapts_a_folder_of_photos(arm, scene, tmp_path, models_root, capsys):
    import cv2

    _, q, T, photo = scene
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = [",".join(["image", *arm.joint_names])]
    for i in range(4):
        bgr = cv2.cvtColor(photo(q[i]).image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"image_{i}.png"), bgr)
        rows.append(",".join([f"image_{i}.png", *(f"{v:.6f}" for v in q[i])]))
    (folder / "joint_positions_rad.csv").write_text("\n".join(rows) + "\n")
    K = ", ".join(f"{v:.6f}" for v in CAMERA.K.ravel())
    (folder / "camera_info.yaml").write_text(
        f"image_width: {CAMERA.width}\nimage_height: {CAMERA.height}\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: [{K}]\n"
    )
    np.savetxt(folder / "pose.csv", T, delimiter=",")
    file = tmp_path / "out" / "adapted.npz"
    words = ["adapt", str(folder), "--camera-pose", str(folder / "pose.csv")]
    words += ["--robot", str(models_root / "six_axis_arm" / "six_axis_arm.urdf")]
    words += ["--splat-count", "800", "--rounds", "5", "--width", "160", "--output", str(file)]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "4 photos" in out and str(file) in out
    assert GaussianRobot.load(file).light is not None
    words[-1] = str(tmp_path / "adapted.txt")
    assert cli.main(words) == 2
    assert ".npz" in capsys.readouterr().err


def test_bad_input_is_named(arm, robot, scene):
    grey, q, T, photo = scene
    with pytest.raises(InputError, match="at least one photo"):
        adapt(arm, grey, [], CONFIG)
    away = T.copy()
    away[:3, 3] += 100.0
    behind = dataclasses.replace(photo(q[0]), T_base_camera=away)
    with pytest.raises(InputError, match="none of the photos"):
        adapt(arm, grey, [behind], CONFIG)
    with pytest.raises(InputError, match="image is"):
        PosedPhoto(np.zeros((10, 10, 3), np.uint8), CAMERA, q[0], T)
    with pytest.raises(InputError, match="mask is"):
        PosedPhoto(photo(q[0]).image, CAMERA, q[0], T, mask=np.zeros((3, 3)))
    with pytest.raises(InputError, match="do not fit"):
        adapt(robot("every_joint"), grey, [photo(q[0])], CONFIG)
