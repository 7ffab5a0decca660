"""The torch reference against a per-pixel loop and against finite differences."""

import math

import numpy as np
import pytest
import torch
from raster_cases import gradients, render, scene

from drrobot_ros.rendering import rasterize

MODES = ["RGB", "D", "ED", "RGB+D", "RGB+ED"]


def rotation(q):
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )


def loop(arguments, antialiased=False, eps2d=0.3):
    """Image with depth summed by weight as the last channel, alpha: one pixel after the other."""
    a = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    width, height = a["width"], a["height"]
    images, alphas = [], []
    for V, K, background in zip(a["viewmats"], a["Ks"], a["backgrounds"], strict=True):
        splats = []
        for i in range(len(a["means"])):
            p = V[:3, :3] @ a["means"][i] + V[:3, 3]
            if not 0.01 <= p[2] <= 1e10:
                continue
            A = V[:3, :3] @ rotation(a["quats"][i]) @ np.diag(a["scales"][i])
            slope = p[:2] / p[2]
            for k, (f, c, n) in enumerate([(K[0, 0], K[0, 2], width), (K[1, 1], K[1, 2], height)]):
                slope[k] = np.clip(slope[k], -c / f - 0.15 * n / f, (n - c) / f + 0.15 * n / f)
            J = np.array([[1, 0, -slope[0]], [0, 1, -slope[1]]]) / p[2]
            J = np.diag([K[0, 0], K[1, 1]]) @ J
            cov = J @ A @ A.T @ J.T
            blurred = cov + eps2d * np.eye(2)
            opacity = a["opacities"][i]
            if antialiased:
                opacity *= math.sqrt(max(0.0, np.linalg.det(cov) / np.linalg.det(blurred)))
            center = (K @ p)[:2] / p[2]
            splats.append((p[2], center, np.linalg.inv(blurred), opacity, a["colors"][i]))
        splats.sort(key=lambda s: s[0])
        image = np.zeros((height, width, a["colors"].shape[1] + 1))
        alpha_image = np.zeros((height, width, 1))
        for y in range(height):
            for x in range(width):
                T = 1.0
                for depth, center, conic, opacity, color in splats:
                    d = np.array([x + 0.5, y + 0.5]) - center
                    alpha = min(0.999, opacity * math.exp(-0.5 * d @ conic @ d))
                    if alpha < 1 / 255:
                        continue
                    if T * (1 - alpha) <= 1e-4:
                        break
                    image[y, x] += T * alpha * np.append(color, depth)
                    T *= 1 - alpha
                image[y, x, :-1] += T * background
                alpha_image[y, x] = 1 - T
        images.append(image)
        alphas.append(alpha_image)
    return torch.tensor(np.stack(images)), torch.tensor(np.stack(alphas))


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_reference_equals_a_loop_over_pixels(mode):
    # Some behind the camera, some beside the image, opaque enough for pixels to be done early.
    arguments = scene(150, width=37, height=21, cameras=2, size_m=0.12)
    arguments["means"][:20, 2] -= 1.6
    arguments["means"][20:40, 0] *= 3
    arguments["opacities"][:] = torch.linspace(0.3, 1.0, 150)
    wanted, wanted_alpha = loop(arguments, antialiased=mode == "antialiased")
    assert (wanted_alpha > 1 - 3e-4).any()  # the early stop is exercised
    image, alpha = render(
        arguments, "torch", torch.float64, render_mode="RGB+D", rasterize_mode=mode
    )
    torch.testing.assert_close(image, wanted, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(alpha, wanted_alpha, rtol=1e-9, atol=1e-10)


def test_expected_depth_is_depth_divided_by_alpha():
    arguments = scene(60)
    total, alpha = render(arguments, "torch", torch.float64, render_mode="D")
    expected, _ = render(arguments, "torch", torch.float64, render_mode="ED")
    seen = alpha > 0.01
    torch.testing.assert_close(expected[seen], total[seen] / alpha[seen])
    assert (expected[alpha == 0] == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_reference_gradients_match_finite_differences(mode):
    arguments = scene(12, width=20, height=16, cameras=2, size_m=0.12)
    options = {"render_mode": mode, "rasterize_mode": "antialiased"}
    analytic = gradients(arguments, "torch", torch.float64, **options)
    g = torch.Generator().manual_seed(9)

    def loss(changed):
        image, alpha, _ = rasterize(**changed, backend="torch", **options)
        g.manual_seed(9)
        weights = torch.randn(image.shape, generator=g, dtype=torch.float64)
        return float(
            (image * weights).sum()
            + (alpha * torch.randn(alpha.shape, generator=g, dtype=torch.float64)).sum()
        )

    step = 1e-6
    for name, gradient in analytic.items():
        direction = torch.randn(arguments[name].shape, generator=torch.Generator().manual_seed(3))
        direction = direction.double()
        if name == "viewmats":
            direction[:, 3] = 0
        plus = loss({**arguments, name: arguments[name] + step * direction})
        minus = loss({**arguments, name: arguments[name] - step * direction})
        slope = float((gradient * direction).sum())
        assert slope == pytest.approx((plus - minus) / (2 * step), rel=2e-5, abs=2e-6), name
