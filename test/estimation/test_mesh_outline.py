"""The meshes' outline in place of the splats'."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.estimation import TrackerConfig
from drrobot_ros.estimation.mesh_outline import MeshOutline, corrected
from drrobot_ros.estimation.normal_equations import ParameterColumns
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.tracked_camera import TrackedCamera
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.coverage import LinkMeshes

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
T = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
Q = np.array([0.3, -0.5, 0.7, 0.2, 0.4, 0.0])


def test_residuals_are_zero_where_the_meshes_are(arm, arm_gaussians):
    images = RobotImages.of(arm, arm_gaussians, "off")
    assert images.outline is not None
    links = arm.forward_kinematics(torch.from_numpy(Q)).numpy()
    truth = LinkMeshes.of(arm.visuals).coverage(np.linalg.inv(T) @ links, CAMERA)
    bare = TrackedCamera(-1, None, arm_gaussians).bare(TrackerConfig(), CAMERA, None)
    target = dataclasses.replace(bare, mask=truth)
    drawn = images.fine.images(Q, T, bare).alpha
    outline = images.outline.begin(Q, T, CAMERA, target.camera_link)()
    fixed = corrected(target, drawn, outline)
    columns = ParameterColumns.make(arm.nv, np.ones(arm.nv, bool), False)
    steps = []
    for t in (target, fixed):
        there = images.fine.evaluate(Q, T, t, columns)
        assert there.H is not None and there.g is not None
        steps.append(np.degrees(np.abs(np.linalg.solve(there.H + np.eye(arm.nv), there.g))))
    # Few splats draw a poor outline: the joints would leave the truth for it.
    assert steps[0].max() > 0.2 and steps[1].max() < 0.1 * steps[0].max()


def test_a_camera_on_a_link_sees_the_same_outline(arm, arm_gaussians):
    outline = MeshOutline.of(arm, arm_gaussians)
    assert outline is not None
    links = arm.forward_kinematics(torch.from_numpy(Q)).numpy()
    on_link = np.linalg.inv(links[2]) @ T
    fixed = outline.coverage(Q, T, CAMERA, -1)
    assert fixed.sum() > 500
    assert np.abs(outline.coverage(Q, on_link, CAMERA, 2) - fixed).max() <= 2 / 16


def test_without_meshes_or_with_trained_splats_theirs_is_kept(arm, arm_gaussians):
    class Bare:
        visuals = ()

    assert MeshOutline.of(Bare(), arm_gaussians) is None
    trained = dataclasses.replace(arm_gaussians, about={"command": "train"})
    assert MeshOutline.of(arm, trained) is None


@pytest.mark.parametrize("wanted", [True, False])
def test_outline_is_drawn_where_it_is_wanted(arm, arm_gaussians, wanted, monkeypatch):
    from drrobot_ros.estimation import Observation, Tracker

    drawn = []
    coverage = MeshOutline.coverage
    monkeypatch.setattr(MeshOutline, "coverage", lambda *a: drawn.append(1) or coverage(*a))
    tracker = Tracker(arm, arm_gaussians, TrackerConfig(mesh_outline=wanted, recovery="off"))
    tracker.reset(Q, T)
    tracker.update(Observation(np.full((240, 320, 3), 90, np.uint8), CAMERA, 0.0))
    assert bool(drawn) is wanted
