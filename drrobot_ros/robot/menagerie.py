"""Finding robots of the MuJoCo Menagerie by name."""

import os
from pathlib import Path

from drrobot_ros.errors import ModelError

#: Environment variables that may hold the folder of a Menagerie checkout, in order.
ROOT_VARIABLES = ("DRROBOT_MENAGERIE", "MENAGERIE_ROOT")

#: The main file of the robots that this package is tested with.
MAIN_FILES = {
    "franka_emika_panda": "panda.xml",
    "google_robot": "robot.xml",
    "shadow_hand": "right_hand.xml",
    "trossen_vx300s": "vx300s.xml",
    "ufactory_xarm7": "xarm7.xml",
    "unitree_g1": "g1.xml",
    "unitree_go1": "go1.xml",
    "unitree_go2": "go2.xml",
    "unitree_h1": "h1.xml",
    "universal_robots_ur5e": "ur5e.xml",
}


def roots() -> list[Path]:
    """Return the folders named by the environment that exist."""
    named = [Path(os.environ[v]).expanduser() for v in ROOT_VARIABLES if os.environ.get(v)]
    return [path for path in named if path.is_dir()]


def find_robot(name: str) -> Path:
    """Return the MJCF file of a Menagerie robot.

    Args:
        name: of its folder, or ``folder/file`` for another file of it, without ``.xml``.

    Raises:
        ModelError: no such robot; the message names those there are and what to set.
    """
    folder, _, variant = name.partition("/")
    for root in roots():
        path = _file_in(root / folder, variant)
        if path is not None:
            return path
    path, reason = _from_package(folder, variant)
    if path is not None:
        return path
    known = sorted({p.name for root in roots() for p in root.iterdir() if any(p.glob("*.xml"))})
    variables = " or ".join(ROOT_VARIABLES)
    raise ModelError(
        f"no robot {name!r}: it is neither a file nor a robot of the MuJoCo Menagerie{reason}. "
        f"Valid names: {', '.join(known or sorted(MAIN_FILES))}. "
        + (f"Searched: {', '.join(map(str, roots()))}. " if roots() else "")
        + f"Set {variables} to the folder of a Menagerie checkout, or install mujoco-menagerie."
    )


def main_file(folder: Path) -> Path | None:
    """Return the file of the robot itself in the folder of a Menagerie robot, or None."""
    name = folder.name
    if name in MAIN_FILES and (folder / MAIN_FILES[name]).is_file():
        return folder / MAIN_FILES[name]
    # Scenes add a floor and lights; the robot is the file whose name the folder's name ends with.
    files = sorted(p for p in folder.glob("*.xml") if not p.stem.startswith(("scene", "keyframe")))
    ending = [p for p in files if name.endswith(p.stem)]
    return (ending or files or [None])[0]


def _file_in(folder: Path, variant: str) -> Path | None:
    if not folder.is_dir():
        return None
    if not variant:
        return main_file(folder)
    path = folder / f"{variant.removesuffix('.xml')}.xml"
    if path.is_file():
        return path
    there = ", ".join(sorted(p.stem for p in folder.glob("*.xml")))
    raise ModelError(f"no file {variant!r} in {folder}; valid: {there}")


def _from_package(folder: str, variant: str) -> tuple[Path | None, str]:
    """Ask the mujoco-menagerie package, which downloads; (None, why) where it is no help."""
    try:
        import mujoco_menagerie
    except ImportError:
        return None, ""
    try:
        path = mujoco_menagerie.get(folder).path()
    except mujoco_menagerie.MenagerieError as error:
        return None, f" (mujoco-menagerie: {error})"
    return _file_in(Path(path), variant), ""
