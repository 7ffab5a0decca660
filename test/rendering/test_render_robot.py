"""render_robot on a two-link arm made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import se3, so3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering import render_robot


class Arm:
    """Two links of 0.4 m, turning about z; the second lies 5 cm above the first."""

    nq = 2
    link_names = ("upper", "lower")

    def forward_kinematics(self, q):
        zero = torch.zeros_like(q[0])
        elbow = torch.tensor([0.4, 0.0, 0.05], dtype=q.dtype)
        first = se3.compose(so3.exp(torch.stack([zero, zero, q[0]])), torch.zeros(3, dtype=q.dtype))
        second = se3.compose(so3.exp(torch.stack([zero, zero, q[1]])), elbow)
        return torch.stack([first, first @ second])


class Rod:
    """One red and one blue rod of splats, on the links in the given order."""

    def __init__(self, link_names=("upper", "lower"), dtype=torch.float32):
        n = 20
        self.link_names = link_names
        self.index = torch.arange(2 * n) // n
        x = torch.linspace(0, 0.4, n, dtype=dtype).repeat(2)
        self.means = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], dim=-1)
        self.scales = torch.tensor([0.02, 0.012, 0.012], dtype=dtype).repeat(2 * n, 1)
        self.opacities = torch.full((2 * n,), 0.9, dtype=dtype)
        red, blue = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])
        upper = torch.tensor([name == "upper" for name in link_names])[self.index]
        self.colors = torch.where(upper[:, None], red, blue).to(dtype)

    def pose(self, T_base_link):
        T = T_base_link[self.index]
        means = (T[:, :3, :3] @ self.means[:, :, None])[..., 0] + T[:, :3, 3]
        return means, so3.matrix_to_quat(T[:, :3, :3])


@pytest.fixture
def view():
    camera = PinholeCamera.from_fov(96, 80, 0.9)
    return camera, look_at((0.3, 0.1, 1.2), (0.3, 0.1, 0.0), up=(0, 1, 0))


def test_the_robot_is_where_its_joints_put_it(view):
    camera, T_base_camera = view
    q = torch.tensor([0.3, 0.9], dtype=torch.float64)
    rgb, alpha, depth = render_robot(Arm(), Rod(), q, T_base_camera, camera)
    assert (rgb.shape, alpha.shape, depth.shape) == ((80, 96, 3), (80, 96), (80, 96))
    T = Arm().forward_kinematics(q)
    for link, color in ((0, [1.0, 0, 0]), (1, [0, 0, 1.0])):
        middle = T[link] @ torch.tensor([0.2, 0, 0, 1.0], dtype=torch.float64)
        in_camera = torch.linalg.inv(torch.as_tensor(T_base_camera)) @ middle
        u, v = (torch.as_tensor(camera.K.copy()) @ in_camera[:3] / in_camera[2])[:2]
        pixel = rgb[int(v), int(u)] / alpha[int(v), int(u)]
        torch.testing.assert_close(pixel, torch.tensor(color), atol=1e-3, rtol=0)
        assert alpha[int(v), int(u)] > 0.85
        assert float(depth[int(v), int(u)]) == pytest.approx(float(in_camera[2]), abs=0.01)
    assert alpha[0, 0] == 0 and depth[0, 0] == 0


def test_links_are_matched_by_name_not_by_row(view):
    camera, T_base_camera = view
    q = torch.tensor([0.3, 0.9])
    plain = render_robot(Arm(), Rod(), q, T_base_camera, camera)
    swapped = render_robot(Arm(), Rod(("lower", "upper")), q, T_base_camera, camera)
    for found, wanted in zip(swapped, plain, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match="unknown link 'hand'; valid: upper, lower"):
        render_robot(Arm(), Rod(("upper", "hand")), q, T_base_camera, camera)


def test_background_of_one_color_or_an_image(view):
    camera, T_base_camera = view
    q = torch.zeros(2)
    rgb, alpha, _ = render_robot(Arm(), Rod(), q, T_base_camera, camera)
    image = torch.rand(80, 96, 3)
    for background in (torch.tensor([0.2, 0.4, 0.6]), image):
        found, _, _ = render_robot(Arm(), Rod(), q, T_base_camera, camera, background=background)
        torch.testing.assert_close(found, rgb + (1 - alpha[..., None]) * background)
    with pytest.raises(InputError, match=r"background must have shape \[3\] or \[80, 96, 3\]"):
        render_robot(Arm(), Rod(), q, T_base_camera, camera, background=image[:40])


def test_gradients_to_joints_and_camera(view):
    camera, T_base_camera = view
    q0 = torch.tensor([0.3, 0.9], dtype=torch.float64)
    weights = torch.rand(80, 96, 5, dtype=torch.float64)

    def loss(q, twist):
        T = torch.as_tensor(T_base_camera) @ se3.exp(twist)
        rgb, alpha, depth = render_robot(
            Arm(), Rod(dtype=torch.float64), q, T, camera, backend="torch"
        )
        image = torch.cat([rgb, alpha[..., None], depth[..., None]], dim=-1)
        return (image * weights).sum()

    variables = [q0.clone().requires_grad_(), torch.zeros(6).double().requires_grad_()]
    exact = torch.autograd.grad(loss(*variables), variables)
    for k in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[k] = 1e-6
        slope = loss(q0 + step, torch.zeros(6).double()) - loss(q0 - step, torch.zeros(6).double())
        assert float(slope) / 2e-6 == pytest.approx(float(exact[0][k]), rel=1e-4)
    variables = [q0.clone().requires_grad_(), torch.zeros(6).double().requires_grad_()]
    T = torch.as_tensor(T_base_camera) @ se3.exp(variables[1])
    rgb, alpha, depth = render_robot(Arm(), Rod(), variables[0], T, camera)
    image = torch.cat([rgb, alpha[..., None], depth[..., None]], dim=-1)
    found = torch.autograd.grad((image * weights).sum(), variables)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-2)


def test_wrong_shapes(view):
    camera, T_base_camera = view
    with pytest.raises(InputError, match=r"q must have shape \[2\], got \[3\]"):
        render_robot(Arm(), Rod(), torch.zeros(3), T_base_camera, camera)
    with pytest.raises(InputError, match=r"T_base_camera must have shape \[4, 4\], got \[3, 4\]"):
        render_robot(Arm(), Rod(), [0.0, 0.0], np.eye(4)[:3], camera)
    with pytest.raises(InputError, match="unknown backend"):
        render_robot(Arm(), Rod(), [0, 0], T_base_camera, camera, backend="opengl")


def test_only_the_named_parts_of_model_and_gaussians_are_used(view):
    camera, T_base_camera = view
    arm, rod = Arm(), Rod()
    model = SimpleNamespace(
        nq=2, link_names=list(arm.link_names), forward_kinematics=arm.forward_kinematics
    )
    gaussians = SimpleNamespace(
        scales=rod.scales,
        opacities=rod.opacities,
        colors=rod.colors,
        link_names=list(rod.link_names),
        pose=rod.pose,
    )
    rgb, _, _ = render_robot(model, gaussians, [0.1, 0.2], T_base_camera, camera)
    assert torch.equal(rgb, render_robot(arm, rod, [0.1, 0.2], T_base_camera, camera)[0])
