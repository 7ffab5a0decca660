"""What the tests of the torch inner loop share: where it runs, and targets of every kind."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.estimation.normal_equations import ImageTarget

WIDTH, HEIGHT = 72, 52
K = np.array([[80.0, 0, 35.0], [0, 82.0, 27.5], [0, 0, 1]])
BARE = ImageTarget(K, WIDTH, HEIGHT)

#: The twin on the CPU in every run, and on CUDA where there is one.
WHERE = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]


def full_target(rendered, seed=0, **changes):
    """A target with every plane, half of it noise, seen around a rendering."""
    rng = np.random.default_rng(seed)
    plane = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    z = rendered.depth / np.maximum(rendered.alpha, 1e-6)
    seen = np.where(rendered.alpha > 0.5, z + rng.normal(0, 0.01, z.shape), 0)
    seen[::7] = np.nan
    target = dataclasses.replace(
        BARE,
        color=rng.random((HEIGHT, WIDTH, 3)).astype(np.float32),
        background=rng.random((HEIGHT, WIDTH, 3)).astype(np.float32),
        color_weight=plane,
        mask=rng.random((HEIGHT, WIDTH)).astype(np.float32),
        mask_weight=plane[::-1].copy(),
        depth=seen.astype(np.float32),
        weight=np.where(plane > 0.2, plane, 0).astype(np.float32),
        gain=(0.9, 1.1, 1.0),
        bias=(0.05, 0.0, -0.05),
        robust=1.0,
    )
    return dataclasses.replace(target, **changes)


def statistics_of(evaluation):
    """Its numbers as one array."""
    s = evaluation.statistics
    names = [name for name, _ in s._fields_ if name not in ("fit", "n_visible")]
    fit = [value for channel in s.fit for value in channel]
    return np.array([getattr(s, name) for name in names] + fit)
