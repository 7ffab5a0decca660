"""Finding the robot in one image without a start."""

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import localize_color
from drrobot_ros.estimation.localize import Guess, LocalizeConfig, Localizer
from drrobot_ros.estimation.localize_refine import Hypothesis
from drrobot_ros.estimation.localize_space import SearchSpace, rotation_vectors
from drrobot_ros.estimation.manifold import Coordinates, exp_se3, inverse_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(np.array([[270.0, 0, 120.0], [0, 270.0, 90.0], [0, 0, 1.0]]), 240, 180)
Q = np.array([0.5, -0.2, 1.3, 0.7, 1.0, 0.2])


def camera_pose():
    T = np.eye(4)
    T[:3, :3] = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
    T[:3, 3] = [1.5, 0.05, 0.5]
    return T


@pytest.fixture(scope="module")
def image(arm, arm_gaussians):
    """The arm before a grey wall."""
    model = ImageModel(arm.tree, arm_gaussians, arm.nq, arm.nv)
    target = ImageTarget(K=CAMERA.K, width=240, height=180, inset_px=0.6)
    out = model.images(Q, camera_pose(), target)
    wall = np.array([0.55, 0.6, 0.5])
    color = out.rgb + (1 - out.alpha[..., None]) * wall
    depth = np.where(out.alpha > 0.6, out.depth / np.maximum(out.alpha, 1e-3), 2.2)
    pixels = (np.clip(color, 0, 1) * 255).astype(np.uint8)
    return Observation(pixels, CAMERA, 0.0, depth_m=depth.astype(np.float32))


@pytest.fixture(scope="module")
def localizer(arm, arm_gaussians):
    config = LocalizeConfig(
        hypotheses=3000, rounds=3, children=300, population=50, points=400, candidates=2, width=240
    )
    return Localizer(arm, arm_gaussians, config)


def surface(arm, q, T_camera):
    """Points of the links in the camera frame."""
    T = inverse_se3(T_camera) @ arm.forward_kinematics(torch.as_tensor(q)).numpy()
    out = []
    for visual in arm.visuals:
        out.append(visual.vertices @ T[visual.link, :3, :3].T + T[visual.link, :3, 3])
    return np.concatenate(out)


def distance(arm, candidate):
    """Mean distance of the surface found to the true one, m: the same for a flipped round wrist."""
    here = surface(arm, candidate.q, candidate.T_base_camera)
    return KDTree(surface(arm, Q, camera_pose())).query(here)[0].mean()


def errors(found, upto=5):
    return np.abs(np.degrees(found.candidates[0].q - Q)[:upto])


def test_joints_from_ten_degrees_away(localizer, image):
    start = Q + np.radians(10) * np.array([1, -1, 1, 1, -1, 1])
    found = localizer.find(image, Guess(start, 0.2, camera_pose()))
    assert found.found, found.reason
    assert errors(found).max() < 2
    np.testing.assert_array_equal(found.candidates[0].T_base_camera, camera_pose())


def test_joints_anywhere(arm, localizer, image):
    found = localizer.find(image, Guess(T_base_camera=camera_pose()))
    assert found.found, found.reason
    assert distance(arm, found.candidates[0]) < 0.01
    assert errors(found, 3).max() < 3
    # The wrist's other solution shows the same surface, and is named.
    assert {"joint_4", "joint_5"} & set(found.ambiguous) or errors(found).max() < 3


def test_joints_and_camera_from_a_box(arm, localizer, image):
    about = camera_pose() @ exp_se3(np.array([0.12, -0.1, 0.15, 0.2, -0.15, 0.1]))
    guess = Guess(T_base_camera=about, camera_half_m=0.3, camera_half_rad=0.4)
    found = localizer.find(image, guess)
    assert found.found, found.reason
    assert distance(arm, found.candidates[0]) < 0.015
    # A round base may turn with joint 1: the camera is known up to a turn about the base's axis.
    turn = found.candidates[0].T_base_camera @ np.linalg.inv(camera_pose())
    yaw = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
    free = found.candidates[0].free_turn_rad
    assert (arm.joint_names[0] in found.ambiguous) == (free > 0.3)
    assert np.abs(np.degrees(found.candidates[0].q - Q)[:3] - [yaw, 0, 0]).max() < 4
    assert abs(turn[2, 3]) < 0.03


def test_same_seed_same_answer(localizer, image):
    guess = Guess(Q + 0.1, 0.2, camera_pose())
    a = localizer.find(image, guess, np.random.default_rng(4))
    b = localizer.find(image, guess, np.random.default_rng(4))
    np.testing.assert_array_equal(a.candidates[0].q, b.candidates[0].q)


def test_a_picture_without_the_robot_is_not_believed(localizer, image):
    rng = np.random.default_rng(0)
    depth = np.full((180, 240), 2.0, np.float32) + 0.003 * rng.normal(size=(180, 240))
    depth[60:120, 45:90] = 1.4  # a box
    empty = Observation(image.image * 0 + 120, CAMERA, 0.0, depth_m=depth.astype(np.float32))
    found = localizer.find(empty, Guess(T_base_camera=camera_pose()))
    assert not found.found and found.reason


def test_no_depth_within_reach_is_said(localizer, image):
    dark = Observation(image.image, CAMERA, 0.0, depth_m=np.zeros((180, 240), np.float32))
    found = localizer.find(dark, Guess(T_base_camera=camera_pose()))
    assert not found.candidates and "nothing" in found.reason


def test_color_alone_near_a_start(localizer, image):
    flat = Observation(image.image, CAMERA, 0.0)
    start = Q + np.radians(5) * np.array([1, -1, 1, -1, 1, 0])
    found = localizer.find(flat, Guess(start, 0.1, camera_pose()))
    assert errors(found).mean() < 2.5


def test_color_alone_of_a_large_picture(localizer, image, monkeypatch):
    monkeypatch.setattr(localize_color, "FINE_WIDTH", 200)  # this one is large enough
    flat = Observation(image.image, CAMERA, 0.0)
    start = Q + np.radians(5) * np.array([1, -1, 1, -1, 1, 0])
    found = localizer.find(flat, Guess(start, 0.1, camera_pose()))
    assert errors(found).mean() < 2.5


def test_a_refinement_that_scores_too_little_is_left(localizer, image, monkeypatch):
    start = Q + np.radians(2) * np.array([1, -1, 1, -1, 1, 0])
    found = []
    for enough in (-np.inf, np.inf):
        h = Hypothesis(start, camera_pose(), sigma=0.06, enough=enough)
        monkeypatch.setattr(localizer._color, "find", lambda *_, h=h: [h])
        flat = Observation(image.image, CAMERA, 0.0)
        found.append(errors(localizer.find(flat, Guess(start, 0.1, camera_pose()))))
    assert found[0].mean() < 1
    np.testing.assert_allclose(found[1], 2, atol=0.1)


def test_bad_guesses_are_named(localizer, image):
    with pytest.raises(InputError, match="6 finite"):
        localizer.find(image, Guess(np.zeros(5), 0.1, camera_pose()))
    with pytest.raises(InputError, match="q_sigma"):
        localizer.find(image, Guess(Q, -1.0, camera_pose()))
    with pytest.raises(InputError, match="4x4"):
        localizer.find(image, Guess(Q, 0.1, np.eye(3)))
    with pytest.raises(InputError, match="without depth"):
        localizer.find(Observation(image.image, CAMERA, 0.0), Guess(Q))


def test_the_space_keeps_to_limits_and_to_the_box(arm):
    coordinates = Coordinates.of(arm.tree, arm.nq, arm.nv)
    guess = Guess(None, 0.2, camera_pose(), 0.2, 0.3)
    space = SearchSpace.of(arm, coordinates, guess)
    rng = np.random.default_rng(5)
    q = space.joints(500, rng)
    T = space.cameras(500, rng, CAMERA.K, (240, 180), np.zeros((1, 3)))
    assert (q >= np.asarray(arm.lower)).all() and (q <= np.asarray(arm.upper)).all()
    assert np.abs(T[:, :3, 3] - camera_pose()[:3, 3]).max() <= 0.2
    turn = rotation_vectors(camera_pose()[:3, :3].T @ T[:, :3, :3])
    assert 0.25 < np.abs(turn).max() <= 0.3 + 1e-9
    assert space.allows(T).all()
    far = T.copy()
    far[:, 0, 3] += 1.0
    assert not space.allows(far).any()
    q2, T2 = space.children(q[:50], T[:50], 400, rng)
    assert (q2 >= np.asarray(arm.lower)).all() and (q2 <= np.asarray(arm.upper)).all()
    assert np.abs(np.linalg.det(T2[:, :3, :3]) - 1).max() < 1e-9
