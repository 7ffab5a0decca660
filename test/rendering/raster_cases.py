"""Random scenes and what to compare on them."""

import math

import torch

from drrobot_ros.rendering import rasterize

INPUTS = ("means", "quats", "scales", "opacities", "colors", "viewmats", "backgrounds")


def scene(n, *, width=64, height=48, cameras=1, channels=3, size_m=0.05, seed=0, background=True):
    """Arguments of rasterize in float64: a cloud of splats of about size_m, 1.6 m away."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    viewmats, Ks = [], []
    for c in range(cameras):
        a = 0.3 * c
        M = torch.eye(4, dtype=torch.float64)
        M[0, 0] = M[2, 2] = math.cos(a)
        M[0, 2], M[2, 0] = math.sin(a), -math.sin(a)
        M[:3, 3] = torch.tensor([0.02, -0.03, 1.6 + 0.1 * c])
        viewmats.append(M)
        f = 1.2 * width
        K = [[f, 0, width / 2 + 0.3], [0, 1.05 * f, height / 2 - 0.4], [0, 0, 1]]
        Ks.append(torch.tensor(K, dtype=torch.float64))
    return {
        "means": (uniform(n, 3) - 0.5) * torch.tensor([1.2, 1.0, 1.0], dtype=torch.float64),
        "quats": torch.randn(n, 4, generator=g, dtype=torch.float64),
        "scales": size_m * (0.2 + uniform(n, 3)),
        "opacities": 0.2 + 0.75 * uniform(n),
        "colors": uniform(n, channels),
        "viewmats": torch.stack(viewmats),
        "Ks": torch.stack(Ks),
        "width": width,
        "height": height,
        "backgrounds": uniform(cameras, channels) if background else None,
    }


def to(arguments, dtype):
    """The same arguments with tensors of another dtype."""
    return {
        name: value.to(dtype) if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }


def render(arguments, backend, dtype=torch.float32, **options):
    """Image and alpha, without gradients, as float64."""
    with torch.no_grad():
        image, alpha, _ = rasterize(**to(arguments, dtype), backend=backend, **options)
    return image.double(), alpha.double()


def gradients(arguments, backend, dtype=torch.float32, seed=9, **options):
    """Gradients of a random linear function of image and alpha: {name: float64 tensor}."""
    arguments = to(arguments, dtype)
    names = [name for name in INPUTS if arguments[name] is not None]
    for name in names:
        arguments[name] = arguments[name].detach().clone().requires_grad_()
    image, alpha, _ = rasterize(**arguments, backend=backend, **options)
    g = torch.Generator().manual_seed(seed)
    image_weights = torch.randn(image.shape, generator=g, dtype=torch.float64).to(image)
    alpha_weights = torch.randn(alpha.shape, generator=g, dtype=torch.float64).to(alpha)
    loss = (image * image_weights).sum() + (alpha * alpha_weights).sum()
    found = torch.autograd.grad(loss, [arguments[name] for name in names], allow_unused=True)
    return {
        name: torch.zeros(()).double() if grad is None else grad.double()
        for name, grad in zip(names, found, strict=True)
    }


def relative_error(found, wanted):
    """L2 error relative to the L2 norm of what is wanted."""
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))
