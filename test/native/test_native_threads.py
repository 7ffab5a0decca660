"""The thread pool: counts, fork, memory."""

import os
import subprocess
import sys

import pytest

from drrobot_ros.native.library import num_threads, set_num_threads

SCRIPT = """
import os, torch
torch.set_num_threads(1)
from drrobot_ros.native.library import set_num_threads
from drrobot_ros.rendering import rasterize
set_num_threads(4)
g = torch.Generator().manual_seed(0)
n = 2000
means = torch.rand(n, 3, generator=g) - 0.5
quats = torch.randn(n, 4, generator=g)
scales = torch.full((n, 3), 0.02)
view = torch.eye(4)[None].clone(); view[0, 2, 3] = 1.5
K = torch.tensor([[[100.0, 0, 50], [0, 100, 50], [0, 0, 1]]])
def image(m=means):
    return rasterize(m, quats, scales, torch.full((n,), 0.7), means + 0.5, view, K, 100, 100)[0]
"""


def run(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def restored():
    before = num_threads()
    yield
    set_num_threads(before)


def test_count_is_kept_in_bounds():
    set_num_threads(3)
    assert num_threads() == 3
    set_num_threads(10**6)
    assert num_threads() == 64
    set_num_threads(0)
    assert num_threads() == min(8, len(os.sched_getaffinity(0)))


def test_count_from_the_environment():
    script = """
set_num_threads(0)
from drrobot_ros.native.library import num_threads
print(num_threads())
"""
    assert run(script, DRROBOT_NUM_THREADS="5").stdout.strip() == "5"


def test_child_of_a_fork_renders_the_same_image():
    done = run(
        """
before = image()
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(image(), before) and torch.equal(image(), before) else 3)
status = os.waitpid(child, 0)[1]
assert os.waitstatus_to_exitcode(status) == 0, status
assert torch.equal(image(), before)
"""
    )
    assert done.returncode == 0, done.stderr


def test_memory_does_not_grow_with_the_number_of_images():
    done = run(
        """
import resource
def step():
    moving = means.clone().requires_grad_()
    image(moving).sum().backward()
    image(moving)  # never goes backward
for _ in range(30): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(300): step()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 3000, f"{grown} KiB"
"""
    )
    assert done.returncode == 0, done.stderr
