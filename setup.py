"""Metadata and installation of drrobot_ros, for pip and for colcon alike.

The version is package.xml's. The C++ kernels are compiled while building where there is a compiler;
elsewhere they are compiled at first use.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

NAME = "drrobot_ros"
ROOT = Path(__file__).resolve().parent
SHARE = f"share/{NAME}"


def manifest(tag: str) -> str:
    """Return the text of one element of package.xml."""
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    return (root.findtext(tag) or "").strip()


def shared_files() -> list[tuple[str, Sequence[str]]]:
    """Return the data files of the ROS package: index marker, manifest, launch, config, models."""
    files: list[tuple[str, Sequence[str]]] = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
    ]
    for top in ("launch", "config", "models"):
        for folder, subfolders, names in os.walk(ROOT / top):
            subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
            relative = Path(folder).relative_to(ROOT)
            if names:
                files.append((f"{SHARE}/{relative}", [str(relative / n) for n in sorted(names)]))
    return files


def native_builder() -> ModuleType:
    """Return the module that compiles the kernels, without importing the package's dependencies."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"{NAME}.native.build")
    finally:
        sys.path.remove(str(ROOT))


class BuildWithKernels(build_py):
    """Copies the package, and compiles the C++ kernels into the copy (or in place: editable)."""

    def run(self) -> None:
        """Build the Python files, then the kernels."""
        super().run()
        builder = native_builder()
        target = ROOT if self.editable_mode else Path(self.build_lib)
        os.environ["DRROBOT_NATIVE_DIR"] = str((target / NAME / "native" / "lib").absolute())
        try:
            builder.build()
        except Exception as error:  # the package still works: it compiles at first use
            warnings.warn(f"the C++ kernels are not compiled yet: {error}", stacklevel=1)
        finally:
            del os.environ["DRROBOT_NATIVE_DIR"]


class BinaryDistribution(Distribution):
    """Marks wheels as made for this platform, since they carry compiled kernels."""

    def has_ext_modules(self) -> bool:
        """Say that there is compiled code."""
        return True


setup(
    name=NAME,
    version=manifest("version"),
    description=manifest("description"),
    author="drrobot_ros maintainers",
    maintainer="drrobot_ros maintainers",
    license=manifest("license"),
    python_requires=">=3.11",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"], f"{NAME}.native": ["src/*.cpp", "src/*.hpp"]},
    data_files=shared_files(),
    install_requires=[
        "imageio",
        "imageio-ffmpeg",
        "matplotlib",
        "mujoco>=3.3",
        "numpy",
        "opencv-python-headless",
        "pillow",
        "pycollada",
        "pyyaml",
        "rosbags",
        "ruckig",
        "scipy",
        "torch>=2.4",
        "tqdm",
        "trimesh",
    ],
    extras_require={"demo": ["airo-models"], "text": ["transformers"]},
    entry_points={
        "console_scripts": [
            f"drrobot = {NAME}.cli:main",
            f"calibrator = {NAME}.ros.nodes.calibrator:main",
            f"grasp_planner = {NAME}.ros.nodes.grasp_planner:main",
            f"pose_estimator = {NAME}.ros.nodes.pose_estimator:main",
            f"robot_identifier = {NAME}.ros.nodes.robot_identifier:main",
            f"scene_reconstructor = {NAME}.ros.nodes.scene_reconstructor:main",
            f"simulated_robot = {NAME}.ros.nodes.simulated_robot:main",
            f"visual_control = {NAME}.ros.nodes.visual_control:main",
            f"visual_servo = {NAME}.ros.nodes.visual_servo:main",
        ]
    },
    cmdclass={"build_py": BuildWithKernels},
    distclass=BinaryDistribution,
    zip_safe=False,
)
