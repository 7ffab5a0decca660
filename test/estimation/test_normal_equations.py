"""The C++ inner loop against the torch reference, finite differences and MuJoCo-free identities."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.manifold import exp_se3, inverse_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.geometry import se3
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.native import library
from drrobot_ros.rendering import rasterize

WIDTH, HEIGHT = 72, 52
K = np.array([[80.0, 0, 35.0], [0, 82.0, 27.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def scene(arm, arm_gaussians):
    q = np.array([0.3, -0.7, 0.9, 0.2, 0.6, -0.4])[: arm.nq]
    T = look_at((1.3, 0.7, 0.9), (0.1, 0.0, 0.3))
    image_model = ImageModel(arm.tree, arm_gaussians, arm.nq, arm.nv)
    return arm, arm_gaussians, image_model, q, T


def columns_of(model, camera=True):
    return ParameterColumns.make(model.nv, np.ones(model.nv, bool), camera)


def reference(model, gaussians, q, twist, T_base_camera):
    """Render in float64 torch: channels r, g, b, alpha, depth [H,W,5]."""
    g = gaussians.to(torch.float64)
    means, quats = g.pose(model.forward_kinematics(q))
    T = torch.from_numpy(T_base_camera) @ se3.exp(twist)
    viewmat = se3.inverse(T)
    color, alpha, _ = rasterize(
        means,
        quats,
        g.scales,
        g.opacities,
        g.colors,
        viewmat[None],
        torch.from_numpy(K)[None],
        WIDTH,
        HEIGHT,
        render_mode="RGB+D",
        rasterize_mode="antialiased",
        backend="torch",
    )
    return torch.cat([color[0, ..., :3], alpha[0], color[0, ..., 3:]], -1)


def test_images_agree_with_the_reference(scene):
    model, gaussians, image_model, q, T = scene
    out = image_model.images(q, T, ImageTarget(K, WIDTH, HEIGHT))
    want = reference(model, gaussians, torch.from_numpy(q), torch.zeros(6).double(), T).numpy()
    assert want[..., 3].max() > 0.9
    got = np.concatenate([out.rgb, out.alpha[..., None], out.depth[..., None]], -1)
    # A pixel may close one splat earlier or later in float32.
    assert np.quantile(np.abs(got - want), 0.999) < 2e-3


def test_jacobian_images_agree_with_reverse_mode(scene):
    model, gaussians, image_model, q, T = scene
    columns = columns_of(model)
    out = image_model.images(q, T, ImageTarget(K, WIDTH, HEIGHT), columns)
    assert out.jacobian is not None
    rng = np.random.default_rng(0)
    for channel in range(5):
        weights = np.zeros((HEIGHT, WIDTH, 5))
        weights[..., channel] = rng.normal(size=(HEIGHT, WIDTH))
        qt = torch.from_numpy(q).requires_grad_()
        twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        image = reference(model, gaussians, qt, twist, T)
        (image * torch.from_numpy(weights)).sum().backward()
        assert qt.grad is not None and twist.grad is not None
        want = np.concatenate([qt.grad.numpy(), twist.grad.numpy()])
        got = np.einsum("hwc,hwcp->p", weights, out.jacobian)
        assert np.linalg.norm(got - want) < 1e-3 * np.linalg.norm(want), channel


def random_target(rng, **changes):
    plane = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    target = ImageTarget(
        K,
        WIDTH,
        HEIGHT,
        color=rng.random((HEIGHT, WIDTH, 3)).astype(np.float32),
        background=rng.random((HEIGHT, WIDTH, 3)).astype(np.float32),
        color_weight=plane,
        mask=rng.random((HEIGHT, WIDTH)).astype(np.float32),
        mask_weight=plane,
        weight=(plane > 0.2).astype(np.float32),
        gain=(0.9, 1.1, 1.0),
        bias=(0.05, 0.0, -0.05),
        robust=1e6,
    )
    return dataclasses.replace(target, **changes)


def rows_from_images(target, out):
    """Residuals and rows as the header describes them, in NumPy."""
    seen = np.concatenate([out.rgb, out.alpha[..., None]], -1).astype(np.float64)
    J = out.jacobian[..., :4, :].astype(np.float64)
    w = target.weight.astype(np.float64)
    wc = w * target.color_weight
    gain, bias = np.array(target.gain), np.array(target.bias)
    a = seen[..., 3:]
    predicted = gain * seen[..., :3] + bias * a + (1 - a) * target.background
    r = wc[..., None] * (predicted - target.color)
    Jr = wc[..., None, None] * (
        gain[:, None] * J[..., :3, :] + (bias - target.background)[..., None] * J[..., 3:, :]
    )
    wm = w * target.mask_weight
    rm = wm * (seen[..., 3] - target.mask)
    Jm = wm[..., None] * J[..., 3, :]
    return np.concatenate([r, rm[..., None]], -1), np.concatenate([Jr, Jm[..., None, :]], -2)


def sums(rows, J, target):
    sigma = np.array([target.color_sigma] * 3 + [target.mask_sigma])
    r, Js = rows / sigma, J / sigma[:, None]
    H = np.einsum("hwcp,hwcq->pq", Js, Js)
    return H, np.einsum("hwcp,hwc->p", Js, r), 0.5 * np.square(r).sum()


def box_blur(image, radius, passes):
    for _ in range(passes):
        for axis in (1, 0):
            index = np.arange(image.shape[axis])
            taken = [
                np.take(image, np.clip(index + k, 0, len(index) - 1), axis)
                for k in range(-radius, radius + 1)
            ]
            image = np.mean(taken, axis=0)
    return image


@pytest.mark.parametrize("blur", [0, 2])
def test_normal_equations_are_the_sums_of_the_rows(scene, blur):
    model, _, image_model, q, T = scene
    columns = columns_of(model)
    target = random_target(np.random.default_rng(1), blur_radius=blur)
    out = image_model.images(q, T, target, columns)
    rows, J = rows_from_images(target, out)
    if blur:
        rows, J = box_blur(rows, blur, 2), box_blur(J, blur, 2)
    H, g, cost = sums(rows, J, target)
    got = image_model.evaluate(q, T, target, columns, cutoff=0.0)
    assert got.H is not None and got.g is not None
    assert np.allclose(got.H, H, rtol=1e-3, atol=1e-4 * np.abs(H).max())
    assert np.allclose(got.g, g, rtol=1e-3, atol=1e-3 * np.abs(g).max())
    assert got.statistics.cost == pytest.approx(cost, rel=1e-4)


def test_depth_pulls_along_the_optical_axis(scene):
    model, _, image_model, q, T = scene
    bare = ImageTarget(K, WIDTH, HEIGHT)
    out = image_model.images(q, T, bare)
    seen = np.where(out.alpha > 0.9, out.depth / np.maximum(out.alpha, 1e-6) + 0.005, 0)
    target = dataclasses.replace(bare, depth=seen.astype(np.float32), depth_sigma=0.01)
    columns = columns_of(model)
    result = image_model.evaluate(q, T, target, columns)
    assert result.statistics.depth_count > 50
    step = np.linalg.solve(result.H + 1.0 * np.eye(columns.count), -result.g)
    moved = image_model.images(q + step[: model.nv], T @ exp_se3(step[model.nv :]), bare)
    both = (out.alpha > 0.9) & (moved.alpha > 0.9)
    z = moved.depth / np.maximum(moved.alpha, 1e-6)
    before = np.median(np.abs(out.depth / np.maximum(out.alpha, 1e-6) - seen)[both])
    assert np.median(np.abs(z - seen)[both]) < 0.3 * before


def test_huber_weighs_outliers_less(scene):
    model, _, image_model, q, T = scene
    square = random_target(np.random.default_rng(2))
    robust = dataclasses.replace(square, robust=0.5)
    columns = columns_of(model)
    a = image_model.evaluate(q, T, square, columns)
    b = image_model.evaluate(q, T, robust, columns)
    assert b.statistics.cost < a.statistics.cost
    assert np.trace(b.H) < np.trace(a.H)


def test_results_do_not_depend_on_the_number_of_threads(scene):
    model, _, image_model, q, T = scene
    target = random_target(np.random.default_rng(3), blur_radius=1)
    threads = library.num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            library.set_num_threads(n)
            results.append(image_model.evaluate(q, T, target, columns_of(model)))
    finally:
        library.set_num_threads(threads)
    for other in results[1:]:
        assert np.array_equal(results[0].H, other.H)
        assert results[0].statistics.cost == other.statistics.cost


def test_camera_on_a_link_sees_only_the_other_links_move(scene):
    model, _, image_model, q, T = scene
    link = model.link_index(model.link_names[-1])
    T_base_link = model.forward_kinematics(torch.from_numpy(q)).numpy()[link]
    T_link_camera = inverse_se3(T_base_link) @ T
    bare = ImageTarget(K, WIDTH, HEIGHT)
    carried = dataclasses.replace(bare, camera_link=link)
    fixed = image_model.images(q, T, bare, columns_of(model))
    hand = image_model.images(q, T_link_camera, carried, columns_of(model, camera=False))
    assert np.allclose(fixed.alpha, hand.alpha, atol=1e-3)
    # Chain rule: a joint moves the robot before a camera that stands, and moves the camera.
    point = torch.from_numpy(T_link_camera[:3, 3])
    motion = model.jacobian(torch.from_numpy(q), link, point).numpy()
    twist = np.vstack([T[:3, :3].T @ motion[:3], T[:3, :3].T @ motion[3:]])
    want = fixed.jacobian[..., : model.nv] + fixed.jacobian[..., model.nv :] @ twist
    assert np.abs(hand.jacobian - want).max() < 2e-3 * np.abs(want).max()
    assert np.abs(hand.jacobian - fixed.jacobian[..., : model.nv]).max() > 0.1 * np.abs(want).max()


def test_ignored_pixels_do_not_count(scene):
    model, _, image_model, q, T = scene
    target = random_target(np.random.default_rng(4))
    nothing = dataclasses.replace(target, weight=np.zeros((HEIGHT, WIDTH), np.float32))
    result = image_model.evaluate(q, T, nothing, columns_of(model))
    assert result.statistics.cost == 0 and not result.H.any()


def test_inset_shrinks_the_silhouette(scene):
    _, _, image_model, q, T = scene
    bare = ImageTarget(K, WIDTH, HEIGHT)
    area = [
        image_model.images(q, T, dataclasses.replace(bare, inset_px=inset)).alpha.sum()
        for inset in (0.0, 0.5, 1.0)
    ]
    assert area[0] > area[1] > area[2]


def test_region_scores_prefer_the_pose_that_made_the_image(scene):
    model, _, image_model, q, T = scene
    target = ImageTarget(K, WIDTH, HEIGHT)
    out = image_model.images(q, T, target)
    cluster = np.where(out.alpha > 0.5, 1, 0).astype(np.uint8)
    rng = np.random.default_rng(5)
    others = q + rng.normal(0, 0.1, (50, model.nq))
    palette = np.eye(3, dtype=np.float32)
    scores = image_model.region_scores(np.vstack([q, others]), T, target, cluster, palette, 4)
    assert (scores[0] > scores[1:]).mean() > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((3, 3), np.float32)}, "mask must be"),
        ({"color": np.zeros((HEIGHT, WIDTH), np.float32)}, "color must be"),
    ],
)
def test_planes_of_a_wrong_size_are_refused(scene, change, message):
    _, _, image_model, q, T = scene
    target = dataclasses.replace(ImageTarget(K, WIDTH, HEIGHT), **change)
    with pytest.raises(InputError, match=message):
        image_model.evaluate(q, T, target)


def test_a_wrong_number_of_joints_is_refused(scene):
    _, _, image_model, q, T = scene
    with pytest.raises(InputError, match="q must have"):
        image_model.evaluate(q[:-1], T, ImageTarget(K, WIDTH, HEIGHT))
