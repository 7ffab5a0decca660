"""The tracker with the torch inner loop: the same estimates, and which device a setting means."""

import dataclasses

import numpy as np
import pytest
import torch
from device_cases import WHERE

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.estimation import Observation, Tracker, TrackerConfig, TrackingState
from drrobot_ros.estimation.device import choice
from drrobot_ros.estimation.device.image_model import DeviceImageModel
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(160, 120, np.radians(45))
T_BASE_CAMERA = look_at((1.35, 0.75, 0.75), (0.1, 0.0, 0.35))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
QUIET = TrackerConfig(budget_ms=0.0, fine_width=160, search_hypotheses=60, recovery="off")
IMAGES = 4
# By device setting: joints in degrees, camera in mm and degrees. The C++ loop has no cutoff here;
# on CUDA gsplat closes pixels a splat earlier or later.
JOINTS_DEG = {"torch": 0.005, "cuda": 0.1}
CAMERA_MM = {"torch": 0.05, "cuda": 1.0}


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=2500, seed=0)


@pytest.fixture(scope="module")
def video(arm, gaussians):
    """Images and depth of a moving arm before a wall of blotches."""
    model = ImageModel(arm.tree, gaussians, arm.nq, arm.nv)
    target = ImageTarget(CAMERA.K, CAMERA.width, CAMERA.height, inset_px=0.6)
    rng = np.random.default_rng(0)
    wall = np.kron(rng.uniform(0.3, 0.6, (12, 16, 3)), np.ones((10, 10, 1)))
    q = Q + 0.4 / 30 * np.arange(IMAGES)[:, None]
    frames = []
    for i, x in enumerate(q):
        out = model.images(x, T_BASE_CAMERA, target)
        alpha = out.alpha[..., None]
        noise = rng.normal(0, 0.01, wall.shape)
        color = out.rgb + (1 - alpha) * wall + noise
        z = np.where(out.alpha > 0.5, out.depth / np.maximum(out.alpha, 1e-6), 2.5)
        image = np.clip(255 * color, 0, 255).astype(np.uint8)
        frames.append(Observation(image, CAMERA, i / 30, depth_m=z.astype(np.float32)))
    return q, frames


def follow(arm, gaussians, video, config, depth):
    q, frames = video
    tracker = Tracker(arm, gaussians, config)
    start = T_BASE_CAMERA
    if config.estimate_camera:
        start = start @ exp_se3(np.array([0.01, -0.01, 0.0, 0.005, 0.0, -0.005]))
    tracker.reset(q[0] + 0.03 * np.array([1, -1, 1, -1, 1, -1]), start)
    return [tracker.update(f if depth else dataclasses.replace(f, depth_m=None)) for f in frames]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("change", "depth"),
    [
        ({}, False),
        ({"estimate_camera": True}, True),
        ({"color_residual": "photometric"}, False),
    ],
    ids=["known camera", "free camera, depth", "gain and bias"],
)
def test_tracks_to_the_same_estimates(arm, gaussians, video, where, change, depth, monkeypatch):
    # The C++ loop leaves out derivatives that hardly count; not here, where the last digit does.
    monkeypatch.setitem(ImageModel.evaluate.__kwdefaults__, "cutoff", 0.0)
    device = "torch" if where == "cpu" else "cuda"
    config = dataclasses.replace(QUIET, **change)
    want = follow(arm, gaussians, video, config, depth)
    got = follow(arm, gaussians, video, dataclasses.replace(config, device=device), depth)
    for a, b in zip(want, got, strict=True):
        assert b.state is a.state
        assert np.degrees(np.abs(a.q - b.q)).max() < JOINTS_DEG[device]
        shift = a.T_base_camera[:3, 3] - b.T_base_camera[:3, 3]
        assert 1e3 * np.linalg.norm(shift) < CAMERA_MM[device]
        assert np.allclose(a.q_std, b.q_std, rtol=0.02)
        assert abs(a.agreement - b.agreement) < 0.01
    assert got[-1].state is TrackingState.TRACKING
    assert np.median(np.degrees(np.abs(got[-1].q - video[0][-1]))) < 1.0


def models_of(tracker):
    images = tracker._images
    return images.coarse, images.fine, images.colored, images.coarse_colored


def test_the_cpu_stays_with_the_native_loop(arm, gaussians):
    tracker = Tracker(arm, gaussians)
    assert TrackerConfig().device == "cpu"
    assert all(type(model) is ImageModel for model in models_of(tracker))


def test_what_is_drawn_with_runs_on_the_device(arm, gaussians):
    tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, device="torch"))
    assert all(isinstance(model, DeviceImageModel) for model in models_of(tracker))
    shading = tracker._images.shading()
    assert isinstance(shading.shaded, DeviceImageModel)


def test_cuda_without_a_gpu_says_what_there_is(arm, gaussians, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = dataclasses.replace(QUIET, device="cuda")
    with pytest.raises(BackendError, match=r"torch .*; there is: cpu"):
        Tracker(arm, gaussians, config)
    tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, device="auto"))
    assert all(type(model) is ImageModel for model in models_of(tracker))


def test_cuda_without_gsplat_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="pip install gsplat"):
        choice.device_of("cuda")
    assert choice.device_of("auto") is None


def test_other_devices_are_refused():
    with pytest.raises(InputError, match=r"tpu.*cpu"):
        dataclasses.replace(QUIET, device="tpu")
    with pytest.raises(InputError, match=r"tpu.*cpu, cuda, auto, torch"):
        choice.device_of("tpu")
