"""Which folder of the package may import which, and how to find who breaks that."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "drrobot_ros"

LEAVES = {"errors", "configuration", "media", "native"}  # usable by all, using only each other
_BELOW_RENDERING = {"geometry", "robot", "splats"}
_BELOW_METHODS = _BELOW_RENDERING | {"rendering"}
_METHODS = {"estimation", "identification", "control", "scene", "grasping", "training"}
ALLOWED = {
    "geometry": set(),
    "robot": {"geometry"},
    "splats": {"geometry", "robot"},
    "rendering": _BELOW_RENDERING,
    "estimation": _BELOW_METHODS,
    "recordings": _BELOW_METHODS | {"estimation"},
    "identification": {"geometry", "robot"},
    "control": _BELOW_METHODS | {"estimation"},  # pictures and videos are read by the tracker
    "scene": _BELOW_METHODS,
    "grasping": _BELOW_METHODS | {"control", "scene", "simulation"},  # tried in physics
    "training": _BELOW_METHODS | {"simulation"},  # renders what it trains on
    "simulation": _BELOW_RENDERING,
    "ros": _BELOW_METHODS | _METHODS | {"recordings", "simulation", "demo"},
    "cli": {"commands"},
    "commands": _BELOW_METHODS | _METHODS | {"recordings", "simulation", "demo"},
    "demo": _BELOW_METHODS | _METHODS | {"simulation"},  # starts nodes as processes
}
ROS_PACKAGES = {
    "rclpy",
    "cv_bridge",
    "tf2_ros",
    "tf2_py",
    "launch",
    "launch_ros",
    "rosidl_runtime_py",
}
ROS_SUFFIXES = ("_msgs", "_srvs", "_interfaces")


def layer_of(module: str) -> str:
    """Return the layer of a dotted module name below the package; '' for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def module_name(path: Path, root: Path) -> str:
    """Return the dotted name of a file, `root` being the folder that holds the package."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything a file imports, wherever in the file."""
    package = list(path.relative_to(root).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from drrobot_ros import robot` imports a layer: the names count too.
            names = [f"{origin}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name) for name in (names if origin == PACKAGE else [origin]))


def violations(root: Path) -> list[str]:
    """Return a line for each import under `root`/drrobot_ros that points the wrong way."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        layer = layer_of(module_name(path, root))
        if layer and layer not in ALLOWED and layer not in LEAVES:
            found.append(f"{path.relative_to(root)}: no layer '{layer}' in test/project/layers.py")
            continue
        for line, name in imports_of(path, root):
            where = f"{path.relative_to(root)}:{line}"
            top, target = name.split(".")[0], layer_of(name)
            if top == PACKAGE:
                usable = LEAVES | ALLOWED.get(layer, set()) | {layer, ""}
                if target not in usable and (target in ALLOWED or target in LEAVES):
                    found.append(f"{where}: {layer or PACKAGE} must not import {target}")
            elif layer != "ros" and (top in ROS_PACKAGES or top.endswith(ROS_SUFFIXES)):
                found.append(f"{where}: only ros/ may import {top}")
    return found
