"""Imports point one way, and the library imports without ROS, MuJoCo, gsplat or OpenCV."""

import subprocess
import sys
from pathlib import Path

import pytest
from layers import PACKAGE, layer_of, module_name, violations

ROOT = Path(__file__).resolve().parents[2]

# Run in a fresh process: refuse the named modules, then import the listed ones.
IMPORT_WITHOUT = """
import importlib, sys

blocked, modules = sys.argv[1].split(","), sys.argv[2].split(",")

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Refuse())
failed = []
for module in modules:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        failed.append(f"{module}: {error}")
print("; ".join(failed))
sys.exit(bool(failed))
"""


def import_without(blocked: list[str], modules: list[str], path: Path = ROOT) -> str:
    """Return what cannot be imported in a process in which some modules do not exist."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT, ",".join(blocked), ",".join(modules)],
        capture_output=True,
        text=True,
        cwd=path,
        timeout=120,
        check=False,
    )
    assert not done.stderr or done.returncode == 0, done.stderr
    return done.stdout.strip()


def library_modules() -> list[str]:
    names = [module_name(path, ROOT) for path in sorted((ROOT / PACKAGE).rglob("*.py"))]
    outside = ("ros", "simulation")  # these may need ROS and MuJoCo
    return [n for n in names if layer_of(n) not in outside and not n.endswith("__main__")]


def test_imports_point_one_way():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("geometry/a.py", "from drrobot_ros.robot import model", "geometry must not import robot"),
        ("robot/a.py", "from ..splats import skin", "robot must not import splats"),
        ("robot/a.py", "def f():\n    import drrobot_ros.ros.tf", "robot must not import ros"),
        ("robot/a.py", "from drrobot_ros import estimation", "robot must not import estimation"),
        ("native/a.py", "from drrobot_ros.geometry import so3", "native must not import geometry"),
        ("scene/a.py", "from drrobot_ros import cli", "scene must not import cli"),
        ("control/a.py", "import rclpy.node", "only ros/ may import rclpy"),
        ("splats/a.py", "from sensor_msgs.msg import Image", "only ros/ may import sensor_msgs"),
        ("__init__.py", "import rclpy", "only ros/ may import rclpy"),
        ("surprise/a.py", "", "no layer 'surprise'"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, source, complaint):
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert [complaint in line for line in violations(tmp_path)] == [True]


def test_right_imports_are_left_alone(tmp_path):
    folder = tmp_path / PACKAGE / "ros" / "nodes"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text(
        "import rclpy\nfrom ..tf import x\nfrom drrobot_ros.robot import y\nimport numpy\n"
        "from drrobot_ros import errors\nfrom sensor_msgs.msg import Image\n"
    )
    assert violations(tmp_path) == []


def test_library_imports_without_ros_mujoco_gsplat_and_opencv():
    modules = library_modules()
    assert "drrobot_ros.errors" in modules
    assert import_without(["rclpy", "mujoco", "gsplat", "cv2"], modules) == ""


def test_kernels_can_be_built_before_anything_is_installed():
    # setup.py imports this module while pip or colcon builds the package.
    assert import_without(["torch", "numpy", "scipy"], ["drrobot_ros.native.build"]) == ""


def test_a_blocked_module_is_found(tmp_path):
    (tmp_path / "needs_it.py").write_text("import rclpy")
    found = import_without(["rclpy"], ["needs_it"], tmp_path)
    assert found == "needs_it: rclpy is blocked"
