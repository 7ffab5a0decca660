"""The ROS packages are found, agree with each other, and carry everything they should."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from layers import PACKAGE, ROS_SUFFIXES, imports_of

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = {"drrobot_ros": ROOT / "package.xml", "drrobot_msgs": ROOT / "drrobot_msgs/package.xml"}
READ_SETUP = """
import json, sys
from setuptools import Distribution  # brings distutils
from distutils.core import run_setup
d = run_setup("setup.py", stop_after="init")
json.dump({"name": d.get_name(), "version": d.get_version(), "packages": d.packages,
           "data_files": d.data_files, "package_data": d.package_data,
           "requires": d.install_requires, "scripts": d.entry_points["console_scripts"]},
          sys.stdout)
"""


@cache
def setup_arguments() -> dict:
    """What setup.py tells setuptools."""
    done = subprocess.run(
        [sys.executable, "-c", READ_SETUP], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def colcon_list(folder: Path, *arguments: str, home: Path) -> set[str]:
    """Names of the packages colcon sees from a folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    colcon = shutil.which("colcon", path=path)
    if colcon is None:
        pytest.skip("colcon is not installed")
    env = {**os.environ, "COLCON_HOME": str(home), "COLCON_LOG_PATH": str(home / "log")}
    env.pop("COLCON_DEFAULTS_FILE", None)
    command = [colcon, "list", "--names-only", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def requirement_names(file: str) -> set[str]:
    """Package names of a requirements file, without extras and versions."""
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    stated = [re.split(r"[\[=<>~! ]", line)[0] for line in lines if line and line[0] not in "#-"]
    return {name.lower().replace("_", "-") for name in stated if name}


def declared_dependencies(manifest: Path) -> set[str]:
    root = ElementTree.parse(manifest).getroot()
    return {(element.text or "").strip() for element in root if element.tag.endswith("depend")}


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        (".", []),  # colcon_defaults.yaml
        (".", ["--base-paths", ".", "drrobot_msgs"]),
        ("workspace", ["--base-paths", "src", "src/drrobot_ros/drrobot_msgs"]),
    ],
)
def test_colcon_sees_both_packages(tmp_path, folder, arguments):
    start = ROOT
    if folder == "workspace":
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "drrobot_ros").symlink_to(ROOT, target_is_directory=True)
        start = tmp_path
    assert colcon_list(start, *arguments, home=tmp_path) == {"drrobot_ros", "drrobot_msgs"}


def test_colcon_does_not_see_the_stand_ins(tmp_path):
    # Where ROS 2 is installed they would hide the real packages.
    assert colcon_list(ROOT, "--base-paths", "tools", home=tmp_path) == set()


def test_manifests_are_valid_and_agree():
    catkin_package = pytest.importorskip("catkin_pkg.package")
    versions = set()
    for name, path in MANIFESTS.items():
        warnings: list[str] = []
        package = catkin_package.parse_package(str(path), warnings=warnings)
        package.validate(warnings=warnings)
        assert warnings == []
        assert (package.name, package.package_format) == (name, 3)
        assert package.licenses == ["Apache-2.0"]
        assert "<?xml-model " in path.read_text()
        versions.add(package.version)
    assert len(versions) == 1
    assert versions == {setup_arguments()["version"]}


def test_changelogs_name_their_package():
    for name, manifest in MANIFESTS.items():
        text = (manifest.parent / "CHANGELOG.rst").read_text()
        assert f"Changelog for package {name}\n" in text


def test_setup_lists_every_folder_with_python_files():
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py")}
    missing = [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()]
    assert missing == []
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(setup_arguments()["packages"]) == names


def test_setup_installs_what_ament_expects():
    files = {
        f"{folder}/{Path(name).name}"
        for folder, names in setup_arguments()["data_files"]
        for name in names
        if (ROOT / name).is_file()
    }
    assert "share/ament_index/resource_index/packages/drrobot_ros" in files
    assert "share/drrobot_ros/package.xml" in files
    for top in ("launch", "config", "models"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"share/drrobot_ros/{path.relative_to(ROOT)}" in files


def test_setup_ships_the_kernel_sources():
    # Installed libraries are compared with the sources, and rebuilt from them.
    suffixes = {path.suffix for path in (ROOT / PACKAGE / "native" / "src").iterdir()}
    patterns = setup_arguments()["package_data"][f"{PACKAGE}.native"]
    assert {f"src/*{suffix}" for suffix in suffixes} == set(patterns)


def test_every_executable_has_its_function():
    scripts = [re.split(r"\s*[=:]\s*", script) for script in setup_arguments()["scripts"]]
    nodes = {"calibrator", "pose_estimator", "robot_identifier", "simulated_robot"}
    nodes |= {"visual_control", "visual_servo"}
    assert {name for name, _, _ in scripts} >= {"drrobot", *nodes}
    for _, module, function in scripts:
        path = ROOT / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tree = ast.parse(path.read_text())
        known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name for alias in node.names}
        assert function in known, path


def test_manifest_declares_every_message_package_in_use():
    used = {
        name.split(".")[0]
        for path in (ROOT / PACKAGE / "ros").rglob("*.py")
        for _, name in imports_of(path, ROOT)
    }
    ros = {name for name in used if name.endswith(ROS_SUFFIXES)}
    ros |= used & {"rclpy", "tf2_ros", "cv_bridge", "launch", "launch_ros"}
    assert ros
    optional = {"moveit_msgs"}  # published for it where it is installed
    assert ros - optional - declared_dependencies(ROOT / "package.xml") == set()


def test_requirements_agree_with_setup_and_are_pinned():
    runtime = requirement_names("runtime.txt")
    stated = {re.split(r"[<>=~!]", text)[0] for text in setup_arguments()["requires"]}
    assert stated == runtime
    constraints = (ROOT / "requirements" / "constraints.txt").read_text()
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in constraints.splitlines()
        if "==" in line
    }
    wanted = runtime | requirement_names("build.txt") | requirement_names("dev.txt")
    assert wanted - pinned == set()
    # Without this pin pip may fetch gigabytes of CUDA libraries.
    assert re.search(r"^torch==[\d.]+$", constraints, re.MULTILINE)


def test_everything_imported_is_required():
    third_party = {
        "PIL": "pillow",
        "collada": "pycollada",
        "cv2": "opencv-python-headless",
        "yaml": "pyyaml",
    }
    optional = {"gsplat", "mujoco_menagerie", "ament_index_python", "transformers", PACKAGE}
    runtime = requirement_names("runtime.txt")
    unknown = set()
    for path in (ROOT / PACKAGE).rglob("*.py"):
        if "ros" in path.relative_to(ROOT / PACKAGE).parts[:1]:
            continue
        for line, name in imports_of(path, ROOT):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top in optional:
                continue
            if third_party.get(top, top).lower() not in runtime:
                unknown.add(f"{path.relative_to(ROOT)}:{line} imports {top}")
    assert unknown == set()
