"""The simulated camera against the pinhole equation and MuJoCo's own rays."""

import threading

import mujoco
import numpy as np
import pytest

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import gl
from drrobot_ros.simulation.renderer import Renderer

SPHERES = np.array([[0.1, 0.2, 0.3], [-0.3, 0.1, 0.0], [0.2, -0.35, 0.1], [-0.1, -0.1, 0.45]])
RADIUS = 0.02


@pytest.fixture
def scene():
    geoms = "".join(f'<geom size="{RADIUS}" pos="{x} {y} {z}"/>' for x, y, z in SPHERES)
    m = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{geoms}</worldbody></mujoco>")
    data = mujoco.MjData(m)
    mujoco.mj_forward(m, data)
    return m, data


@pytest.mark.parametrize(
    "K",
    [
        [[320.0, 0, 160], [0, 320, 120], [0, 0, 1]],
        [[290.0, 0, 131.7], [0, 350, 141.2], [0, 0, 1]],  # off centre, pixels not square
    ],
)
def test_intrinsics_are_exact(graphics, scene, K):
    m, data = scene
    camera = PinholeCamera(np.array(K), 320, 240)
    T_world_camera = look_at((1.1, 0.4, 0.7), (0, 0, 0.15))
    renderer = Renderer(m, camera)
    renderer.update(data, T_world_camera, shadows=False)
    geoms, depth = renderer.segmentation_and_depth()
    renderer.close()
    rows, columns = np.indices(geoms.shape) + 0.5
    centers = (np.linalg.inv(T_world_camera) @ np.c_[SPHERES, np.ones(4)].T).T[:, :3]
    for i, (x, y, z) in enumerate(centers):
        seen = geoms == i
        want = camera.K @ [x / z, y / z, 1]
        # About 60 pixels each: their centroid lies within a tenth of a pixel of the centre.
        assert seen.sum() > 40
        assert abs(columns[seen].mean() - want[0]) < 0.15
        assert abs(rows[seen].mean() - want[1]) < 0.15
        assert depth[seen].min() == pytest.approx(z - RADIUS, abs=0.002)
    assert (depth[geoms < 0] == 0).all()


def test_depth_agrees_with_rays(graphics, scene):
    m, data = scene
    camera = PinholeCamera.from_fov(160, 120, 0.8)
    T = look_at((0.9, -0.6, 0.5), (0, 0, 0.15))
    renderer = Renderer(m, camera)
    renderer.update(data, T, shadows=False)
    geoms, depth = renderer.segmentation_and_depth()
    renderer.close()
    for row, column in np.argwhere(geoms >= 0)[::7]:
        ray = np.array(
            [(column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy, 1]
        )
        hit = np.array([-1], np.int32)
        distance = mujoco.mj_ray(m, data, T[:3, 3], T[:3, :3] @ ray, None, 1, -1, hit, None)
        assert hit[0] == geoms[row, column]
        assert depth[row, column] == pytest.approx(distance, abs=1e-3)


def test_wrong_use_is_named(graphics, scene):
    m, data = scene
    with pytest.raises(InputError, match="skew"):
        Renderer(m, PinholeCamera(np.array([[300.0, 5, 80], [0, 300, 60], [0, 0, 1]]), 160, 120))
    renderer = Renderer(m, PinholeCamera.from_fov(32, 24, 0.8))
    renderer.update(data, look_at((1, 0, 0), (0, 0, 0)), shadows=False)
    errors = []

    def draw():
        try:
            renderer.colors()
        except BackendError as error:
            errors.append(str(error))

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert "thread" in errors[0]
    renderer.colors()
    renderer.close()
    with pytest.raises(BackendError, match="closed"):
        renderer.colors()


def test_backend_is_egl_without_display(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert gl.backend_name() == "egl"
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert gl.backend_name() == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "directx")
    with pytest.raises(InputError, match=r"directx.*egl"):
        gl.backend_name()


def test_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")

    def broken(*_):
        raise AttributeError("'NoneType' object has no attribute 'eglQueryString'")

    egl = pytest.importorskip("mujoco.egl", exc_type=ImportError)
    monkeypatch.setattr(egl, "GLContext", broken)
    with pytest.raises(BackendError, match="apt-get install libegl1"):
        gl.make_context(16, 16)
