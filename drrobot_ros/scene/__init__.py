"""Scenes from one RGB-D image: objects on a plane as meshes, with materials and light."""

from drrobot_ros.scene.config import ReconstructionConfig
from drrobot_ros.scene.files import add_objects, read_scene, write_scene
from drrobot_ros.scene.reconstruct import Watcher, reconstruct
from drrobot_ros.scene.types import (
    Light,
    Material,
    Mesh,
    RobotInView,
    Scene,
    SceneInput,
    SceneObject,
    SupportPlane,
)

__all__ = [
    "Light",
    "Material",
    "Mesh",
    "ReconstructionConfig",
    "RobotInView",
    "Scene",
    "SceneInput",
    "SceneObject",
    "SupportPlane",
    "Watcher",
    "add_objects",
    "read_scene",
    "reconstruct",
    "write_scene",
]
