"""Tracks: files, trackers, points of a robot's surface, and what is refused."""

import sys

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.points.cotracker import CoTracker
from drrobot_ros.control.points.lucas_kanade import LucasKanadeConfig, track_points
from drrobot_ros.control.points.robot_points import (
    RobotPoints,
    bind,
    chamfer,
    matched,
    visible_points,
)
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.errors import BackendError, InputError

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])


def textured(shift: float = 0.0) -> np.ndarray:
    """A smooth random texture [96,128,3], moved to the right by a number of pixels."""
    rng = np.random.default_rng(3)
    waves = [(rng.normal(0, 0.25, 2), rng.uniform(0, 6)) for _ in range(12)]
    y, x = np.mgrid[:96, :128].astype(float)
    image = sum(np.sin(f[0] * (x - shift) + f[1] * y + p) for f, p in waves)
    return np.repeat((128 + 30 * image).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def test_points_are_followed_to_a_tenth_of_a_pixel() -> None:
    images = [textured(1.7 * i) for i in range(8)]
    found = track_points(images, LucasKanadeConfig(points=60, reseed_every=3))
    assert found.image_size == (128, 96)
    moved = found.tracks[-1] - found.tracks[0]
    both = np.isfinite(moved).all(1)
    assert both.sum() > 20
    assert np.abs(np.median(moved[both], 0) - [1.7 * 7, 0]).max() < 0.1
    # What left the image is lost, and new points were found in its place.
    assert (~found.seen[-1]).any() and (~found.seen[0]).any()
    assert np.isnan(found.tracks[~found.seen]).all()


def test_a_point_that_jumps_is_lost() -> None:
    images = [textured(0), textured(0), np.roll(textured(0), 48, axis=0)]
    found = track_points(images, LucasKanadeConfig(points=60, reseed_every=0))
    still = found.seen[-1] & (np.abs(found.tracks[-1] - found.tracks[0]).max(1) < 1)
    assert still.mean() < 0.1
    assert found.seen[-1].mean() < 0.5 * found.seen[1].mean()


def test_points_are_chosen_in_the_region() -> None:
    region = np.zeros((96, 128), bool)
    region[20:60, 30:90] = True
    config = LucasKanadeConfig(points=30, reseed_every=0)
    first = track_points([textured(0), textured(0.5)], config, region).tracks[0]
    assert ((first > [30, 20]) & (first < [90, 60])).all()
    with pytest.raises(InputError, match="no corner"):
        track_points([np.zeros((20, 20, 3), np.uint8)] * 2)
    with pytest.raises(InputError, match="region is"):
        track_points([textured()] * 2, region=region[:5])
    with pytest.raises(InputError, match="image 1 of the video is"):
        track_points([textured(), textured()[:50]])
    with pytest.raises(InputError, match="at least two images"):
        track_points([textured()])


def test_files_of_tracks_come_back(tmp_path) -> None:
    tracks = np.random.default_rng(0).uniform(0, 90, (4, 3, 2))
    tracks[2, 1] = np.nan
    TrackSet(tracks, (128, 96), np.arange(4) / 30).save(tmp_path / "t.npz")
    back = TrackSet.load(tmp_path / "t.npz")
    assert np.allclose(back.tracks, tracks, atol=1e-4, equal_nan=True)
    assert not back.seen[2, 1] and back.seen.sum() == 11
    assert back.times(10.0)[-1] == pytest.approx(0.1)
    assert TrackSet(tracks, (128, 96)).times(10.0)[-1] == pytest.approx(0.3)


GOOD = {"tracks": np.ones((3, 2, 2)), "image_size": np.array([8, 6])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracks": np.ones((3, 2))}, r"tracks must be \[T, P, 2\]"),
        ({"tracks": np.full((3, 2, 2), np.inf)}, "must not be infinite"),
        ({"tracks": np.full((3, 2, 2), np.nan)}, "image 0 of 3 has no visible point"),
        ({"visible": np.ones((3, 1), bool)}, r"visible must be \[3, 2\]"),
        ({"times_s": np.arange(4.0)}, r"times_s must be \[3\]"),
        ({"times_s": np.array([0.0, 2.0, 1.0])}, "image 2 does not follow"),
        ({"image_size": np.array([8, 6, 3])}, "image_size must be width and height"),
        ({"image_size": None}, "lacks image_size"),
    ],
)
def test_bad_files_of_tracks_are_refused(tmp_path, change: dict, message: str) -> None:
    data = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    np.savez(tmp_path / "bad.npz", **data)
    with pytest.raises(InputError, match=message):
        TrackSet.load(tmp_path / "bad.npz")


def test_files_that_are_none_are_refused(tmp_path) -> None:
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 no archive")
    for name in ("no.npz", "missing.npz"):
        with pytest.raises(InputError, match="cannot read tracks"):
            TrackSet.load(tmp_path / name)


def test_projected_points_have_right_derivatives(arm, view) -> None:
    rng = np.random.default_rng(0)
    points = RobotPoints(rng.integers(1, len(arm.link_names), 9), rng.normal(0, 0.05, (9, 3)))
    _, depth, J = points.project(arm, np.stack([Q, Q + 0.2]), view, jacobian=True)
    assert J is not None and J.shape == (2, 9, 2, 6) and (depth > 0).all()
    for k in range(6):
        step = 1e-6 * np.eye(6)[k]
        ends = [points.project(arm, np.stack([Q + s, Q + 0.2 + s]), view)[0] for s in (step, -step)]
        assert np.allclose(J[..., k], (ends[0] - ends[1]) / 2e-6, atol=1e-4)


def test_tracks_are_bound_to_the_surface_they_begin_on(arm, splats, view) -> None:
    view = Viewpoint(view.camera.scaled(2.0), view.T_base_camera)
    chosen = visible_points(arm, splats, Q, view, 80)
    pixels, _, _ = chosen.project(arm, Q, view)
    outside = np.array([[1.0, 1.0], [np.nan, np.nan], [-5.0, 3.0]])
    bound, on = bind(arm, splats, Q, view, np.concatenate([pixels[0], outside]))
    assert not on[-3:].any() and on[:-3].mean() > 0.3
    assert (bound.links == chosen.links[on[:-3]]).mean() > 0.95
    # Bound at one pose they are where the surface is at another.
    moved, _, _ = bound.project(arm, Q + 0.3, view)
    truth, _, _ = chosen.only(on[:-3]).project(arm, Q + 0.3, view)
    assert np.median(np.linalg.norm(moved - truth, axis=-1)) < 1.0


def test_points_behind_the_robot_are_not_visible(arm, splats, view) -> None:
    links = np.asarray([arm.link_index(n) for n in splats.link_names])[splats.link_index]
    every = RobotPoints(links, np.asarray(splats.means, np.float64))
    seen = every.visible(arm, splats, Q, view)[0]
    assert 0.15 < seen.mean() < 0.75
    T = torch.from_numpy(Q)
    normals = (
        arm.forward_kinematics(T).numpy()[links][:, :3, :3] @ np.asarray(splats.normals)[..., None]
    )
    away = (normals[..., 0] @ view.T_base_camera[:3, 2]) > 0.5
    assert seen[away].mean() < 0.2 < seen[~away].mean()
    elsewhere = Viewpoint(view.camera, view.T_base_camera @ np.diag([-1.0, 1, -1, 1]))
    with pytest.raises(InputError, match="sees no point"):
        visible_points(arm, splats, Q, elsewhere, 10)


def test_distances_of_tracks() -> None:
    own = np.array([[[0.0, 0.0], [10.0, 0.0]]])
    tracks = np.array([[[0.0, 1.0], [np.nan, np.nan]]])
    plain, squared = chamfer(own, tracks)
    assert plain[0] == pytest.approx((1 + np.hypot(10, 1)) / 2 + 1)
    assert squared[0] == pytest.approx((1 + 101) / 2 + 1)
    assert matched(own, tracks)[0] == pytest.approx(1)
    plain, squared = chamfer(own, tracks, np.array([[True, False]]))
    assert plain[0] == pytest.approx(2) and squared[0] == pytest.approx(2)
    nothing = np.full((1, 2, 2), np.nan)
    assert np.isnan(chamfer(own, nothing)[0][0]) and np.isnan(matched(own, nothing)[0])


STAND_IN = """
import torch

class CoTrackerPredictor(torch.nn.Module):
    def __init__(self, checkpoint):
        super().__init__()
        self.speed = torch.load(checkpoint)["speed"]

    def forward(self, video, queries):
        t = torch.arange(video.shape[1])[:, None, None]
        tracks = queries[0, None, :, 1:] + self.speed * t * torch.tensor([1.0, 0.0])
        visible = tracks[..., 0] < video.shape[-1]
        return tracks[None], visible[None]
"""


def test_cotracker_is_found_in_its_folder(tmp_path) -> None:
    with pytest.raises(BackendError, match=r"scaled_offline.pth.*git clone"):
        CoTracker(tmp_path)
    torch.save({"speed": 2.0}, tmp_path / "scaled_offline.pth")
    with pytest.raises(BackendError, match="no CoTracker code"):
        CoTracker(tmp_path)
    (tmp_path / "cotracker").mkdir()
    (tmp_path / "cotracker" / "__init__.py").write_text("")
    (tmp_path / "cotracker" / "predictor.py").write_text(STAND_IN)
    try:
        tracker = CoTracker(tmp_path)
        assert str(tmp_path) not in sys.path
        found = tracker.track_points([textured()] * 4, np.array([[3.0, 4.0], [125.0, 9.0]]))
        assert np.allclose(found.tracks[:, 0, 0], 3 + 2 * np.arange(4))
        assert found.seen[:, 1].tolist() == [True, True, False, False]
        region = np.zeros((96, 128), bool)
        region[40:, :40] = True
        grid = tracker.track_points([textured()] * 2, region=region).tracks[0]
        assert len(grid) > 20 and (grid[:, 0] < 40).all() and (grid[:, 1] > 40).all()
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "cotracker"]:
            del sys.modules[name]
