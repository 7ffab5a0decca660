"""A scene_reconstructor whose reconstruction takes its time and finds a box under every box."""

import sys
import time
from pathlib import Path

import numpy as np
from fake_library import load_robot

from drrobot_ros.errors import InputError
from drrobot_ros.robot import primitives
from drrobot_ros.scene import Light, Material, Mesh, Scene, SceneObject, SupportPlane

HALF = (0.02, 0.03, 0.04)


def found(given, confidence: float = 0.9, warnings=()) -> Scene:
    """Return a box per box, side by side, in the base frame."""
    vertices, faces = primitives.box(np.array(HALF))
    mesh = Mesh(vertices, faces.astype(np.int64))
    material = Material(np.array([0.5, 0.2, 0.1]), 0.5)
    plane = SupportPlane(np.array([0.0, 0, 1]), 0.0, 1e-3, 0.9, 0.9, material)
    things = []
    for i, box in enumerate(np.asarray(given.boxes)):
        T = np.eye(4)
        T[:3, 3] = [0.1, 0.15 * i, HALF[2]]
        name = given.names[i] if given.names else f"object_{i}"
        things.append(
            SceneObject(
                name, box, np.zeros((2, 2), bool), T, np.array(HALF), T, mesh,
                np.zeros((8, 3)), (mesh,), material, 0.2, 0.7, confidence, tuple(warnings), 1.0,
                1e-3,
            )
        )  # fmt: skip
    light = Light(np.array([0, 0, 1.0]), np.ones(3), np.ones(3))
    return Scene("base", tuple(things), plane, light, given.camera, given.T_base_camera,
                 confidence, tuple(warnings), {})  # fmt: skip


def reconstruct(given, config, watch):
    if given.color.mean() > 240:
        raise RuntimeError("the solver blew up")
    if not (given.depth_m > 0).any():
        raise InputError("the depth is zero everywhere")
    if given.robot is not None:
        assert np.isfinite(given.robot.q).all()
    for k, stage in enumerate(("masks", "plane", "ellipsoids", "meshes", "done")):
        time.sleep(0.15)
        watch(stage, (k + 1) / 5, {stage: given.color})
    if given.camera_trusted:
        return found(given)
    return found(given, 0.1, ("the camera pose is lost",))


def write(scene, folder: Path, color):
    path = Path(folder) / "scene.json"
    path.write_text(str(len(scene.objects)))
    return {"json": path}


if __name__ == "__main__":
    from drrobot_ros.ros.nodes.scene_reconstructor import SceneLibrary, SceneReconstructor
    from drrobot_ros.ros.runner import run

    library = SceneLibrary(load_robot, reconstruct, write)
    sys.exit(run(lambda: SceneReconstructor(library)))
