"""The torch inner loop against the C++ one: images, Jacobians, normal equations, statistics."""

import dataclasses
import gc

import numpy as np
import pytest
import torch
from device_cases import BARE, HEIGHT, WHERE, WIDTH, full_target, statistics_of

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.device import planes
from drrobot_ros.estimation.device.evaluation import COUNTS, Task, evaluate
from drrobot_ros.estimation.device.image_model import DeviceImageModel
from drrobot_ros.estimation.device.pairs import Capacity
from drrobot_ros.estimation.device.projection import LinkSplats
from drrobot_ros.estimation.device.residuals import FIT, STATISTICS, Size
from drrobot_ros.estimation.manifold import inverse_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ParameterColumns
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.splats import GaussianRobot

# Relative to the largest entry: float32 in another order; measured up to 4e-5 and 2e-4, far away.
H_TOLERANCE, G_TOLERANCE, STATISTICS_TOLERANCE = 1e-4, 1e-3, 1e-5
CENTER = np.array([0.0, 0.0, 0.8])


@pytest.fixture(scope="module", params=WHERE)
def scene(request, arm, arm_gaussians):
    q = np.array([0.3, -0.7, 0.9, 0.2, 0.6, -0.4])
    T = look_at((1.3, 0.7, 0.9), (0.1, 0.0, 0.3))
    arguments = (arm.tree, arm_gaussians, arm.nq, arm.nv)
    twin = DeviceImageModel(*arguments, device=torch.device(request.param))
    return ImageModel(*arguments), twin, q, T


def columns_of(nv, camera=True):
    return ParameterColumns.make(nv, np.ones(nv, bool), camera)


def assert_same(native, twin, q, T, target, columns):
    """Compare the normal equations without a cutoff; return the twin's."""
    options = {"twist_center": CENTER, "cutoff": 0.0}
    want = native.evaluate(q, T, target, columns, **options)
    got = twin.evaluate(q, T, target, columns, **options)
    assert np.abs(want.H).max() > 0
    assert np.abs(got.H - want.H).max() < H_TOLERANCE * np.abs(want.H).max()
    assert np.abs(got.g - want.g).max() < G_TOLERANCE * np.abs(want.g).max()
    np.testing.assert_allclose(
        statistics_of(got), statistics_of(want), rtol=STATISTICS_TOLERANCE, atol=1e-3
    )
    assert abs(got.statistics.n_visible - want.statistics.n_visible) <= 2
    return got


def test_images_and_their_jacobians(scene):
    native, twin, q, T = scene
    want = native.images(q, T, BARE, columns_of(native.nv))
    got = twin.images(q, T, BARE, columns_of(native.nv))
    for name in ("rgb", "alpha", "depth"):
        assert np.abs(getattr(got, name) - getattr(want, name)).max() < 1e-4, name
    assert np.abs(got.jacobian - want.jacobian).max() < 1e-4 * np.abs(want.jacobian).max()
    # Without Jacobians the images are the rasterizer's: gsplat's on CUDA.
    plain = twin.images(q, T, BARE)
    for name in ("rgb", "alpha", "depth"):
        difference = np.abs(getattr(plain, name) - getattr(want, name))
        assert np.quantile(difference, 0.999) < 2e-3, name


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"blur_radius": 2},
        {"robust": 1e6, "depth": None},
        {"color": None},
        {"color": None, "mask": None},
        {"mask": None, "depth": None, "blur_radius": 1},
        {"background": None, "weight": None, "color_weight": None, "mask_weight": None},
        {"inset_px": 0.6, "cull": 0.2, "eps2d": 0.5},
    ],
    ids=["all", "blur", "squares", "no colour", "depth", "colour", "no planes", "inset"],
)
@pytest.mark.parametrize("camera", [False, True], ids=["known camera", "free camera"])
def test_normal_equations(scene, change, camera):
    native, twin, q, T = scene
    target = full_target(native.images(q, T, BARE), **change)
    assert_same(native, twin, q + 0.02, T, target, columns_of(native.nv, camera))


def test_camera_on_a_link_and_joints_that_are_held(scene, arm):
    native, twin, q, T = scene
    link = arm.link_index(arm.link_names[-1])
    T_base_link = arm.forward_kinematics(torch.from_numpy(q)).numpy()[link]
    target = full_target(native.images(q, T, BARE), camera_link=link)
    free = np.array([True, False, True, True, False, True])
    columns = ParameterColumns.make(arm.nv, free, True)
    assert_same(native, twin, q, inverse_se3(T_base_link) @ T, target, columns)


@pytest.mark.parametrize("where", WHERE)
def test_joints_of_every_kind(robot, where):
    model = robot("every_joint.xml")
    arguments = (model.tree, GaussianRobot.from_model(model, 400, seed=0), model.nq, model.nv)
    native, twin = ImageModel(*arguments), DeviceImageModel(*arguments, device=torch.device(where))
    q = np.asarray(model.neutral(), float) + 0.1 * np.cos(np.arange(model.nq))
    poses = [look_at(eye, (0.1, 0.0, 0.2)) for eye in ((1.6, 0.9, 1.0), (0.3, -1.8, 0.6))]
    for T in poses:
        out = native.images(q, T, BARE)
        assert out.alpha.max() > 0.5
        assert_same(native, twin, q, T, full_target(out), columns_of(model.nv))


@pytest.mark.parametrize("where", WHERE)
def test_large_opaque_splats_near_the_camera(arm, arm_gaussians, where):
    opaque = dataclasses.replace(
        arm_gaussians,
        opacities=torch.ones_like(arm_gaussians.opacities),
        scales=4 * arm_gaussians.scales,
    )
    arguments = (arm.tree, opaque, arm.nq, arm.nv)
    native, twin = ImageModel(*arguments), DeviceImageModel(*arguments, device=torch.device(where))
    q, T = np.zeros(arm.nq), look_at((0.6, 0.3, 0.5), (0.1, 0.0, 0.3))
    target = full_target(native.images(q, T, BARE), eps2d=1e-4)  # enlarged, they fade
    assert_same(native, twin, q, T, target, columns_of(arm.nv))


def test_without_columns_there_are_only_statistics(scene):
    native, twin, q, T = scene
    target = full_target(native.images(q, T, BARE))
    want, got = native.evaluate(q, T, target), twin.evaluate(q, T, target)
    assert got.H is None and got.g is None
    np.testing.assert_allclose(statistics_of(got), statistics_of(want), rtol=2e-3, atol=0.1)


def test_a_robot_out_of_sight(scene):
    native, twin, q, T = scene
    behind = T @ np.diag([-1.0, 1.0, -1.0, 1.0])
    target = full_target(native.images(q, T, BARE))
    got = twin.evaluate(q, behind, target, columns_of(native.nv))
    assert not got.H.any() and not got.g.any()
    want = native.evaluate(q, behind, target, columns_of(native.nv))
    np.testing.assert_allclose(statistics_of(got), statistics_of(want), rtol=1e-5, atol=1e-3)


def test_new_colors_count(scene):
    native, twin, q, T = scene
    target = full_target(native.images(q, T, BARE))
    before = twin.evaluate(q, T, target).statistics.color_cost
    colors = np.random.default_rng(0).random((native.count, 3))
    own = twin._sent.color.cpu().numpy()
    for model in (native, twin):
        model.set_colors(colors)
    assert_same(native, twin, q, T, target, columns_of(native.nv))
    assert twin.evaluate(q, T, target).statistics.color_cost != pytest.approx(before, rel=1e-3)
    for model in (native, twin):
        model.set_colors(own)


def test_hypotheses_are_scored_as_before(scene):
    native, twin, q, T = scene
    cluster = (native.images(q, T, BARE).alpha > 0.5).astype(np.uint8)
    many = q + np.linspace(-0.1, 0.1, 5)[:, None]
    arguments = (many, T, BARE, cluster, np.eye(3, dtype=np.float32), 4)
    assert np.array_equal(native.region_scores(*arguments), twin.region_scores(*arguments))


@pytest.mark.parametrize("where", WHERE)
def test_recorded_evaluations_are_the_same(arm, arm_gaussians, where):
    arguments = (arm.tree, arm_gaussians, arm.nq, arm.nv)
    native = ImageModel(*arguments)
    twin = DeviceImageModel(*arguments, device=torch.device(where), record=True)
    q = np.array([0.3, -0.7, 0.9, 0.2, 0.6, -0.4])
    columns = columns_of(arm.nv)
    recordings = twin._evaluate._recordings
    for eye in ((3.9, 2.1, 2.7), (1.3, 0.7, 0.9), (1.2, 0.75, 0.9), (0.8, 0.4, 0.55)):
        T = look_at(eye, (0.1, 0.0, 0.3))
        for seed in (1, 2):  # other images at the places recorded
            target = full_target(native.images(q, T, BARE), seed)
            assert_same(native, twin, q, T, target, columns)
            assert_same(native, twin, q + 0.05, T, target, columns)
    assert len(recordings) == 1
    # The near robot did not fit into the room that the far one had needed.
    (recording,) = recordings.values()
    assert recording.capacity.pairs > 3 * 4096
    assert (recording._graph is not None) == (where == "cuda")


def test_what_is_recorded_waits_for_nothing():
    """On "meta" no value can be read, and no tensor of the CPU can slip in."""

    def empty(*shape, dtype=torch.float32):
        return torch.empty(*shape, dtype=dtype, device="meta")

    n, links, p, pixels = 50, 4, 9, WIDTH * HEIGHT
    shapes = [(n, 3), (n, 3, 3), (n, 3), (n,), (n, 3), (n, 4), (n, 3)]
    splats = LinkSplats(empty(n, dtype=torch.int64), *(empty(*shape) for shape in shapes))
    seen = planes.Planes(*(empty(pixels, *((3,) if c else ())) for c in (0, 1, 0, 1, 0, 0, 0)))
    flat = empty(12 + 6 + 15 * links + 6 * links * p)
    for blur in (0, 1):
        task = Task(Size(WIDTH, HEIGHT, blur, 2), links)
        out = evaluate(splats, seen, flat, task, Capacity(900, 500, 400))
        assert out.shape == (COUNTS + len(STATISTICS) + FIT + p + p * p,)
    with pytest.raises(RuntimeError, match="item"):
        evaluate(splats, seen, flat, task, None)


def test_images_are_sent_once_for_a_target(scene, monkeypatch):
    native, twin, q, T = scene
    sent = []
    make = planes.planes_of
    monkeypatch.setattr(planes, "planes_of", lambda *a: sent.append(a) or make(*a))
    targets = [full_target(native.images(q, T, BARE), seed) for seed in (0, 1)]
    for k in range(6):
        twin.evaluate(q + 0.01 * k, T, targets[k % 2], columns_of(native.nv))
    assert len(sent) == 2
    del targets
    sent.clear()
    gc.collect()
    assert not twin._planes._held


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((3, 3), np.float32)}, "mask must be"),
        ({"color": np.zeros((HEIGHT, WIDTH), np.float32)}, "color must be"),
    ],
)
def test_planes_of_a_wrong_size_are_refused(scene, change, message):
    native, twin, q, T = scene
    with pytest.raises(InputError, match=message):
        twin.evaluate(q, T, dataclasses.replace(BARE, **change), columns_of(native.nv))


def test_a_wrong_number_of_joints_is_refused(scene):
    native, twin, q, T = scene
    with pytest.raises(InputError, match="q must have"):
        twin.evaluate(q[:-1], T, BARE, columns_of(native.nv))
