"""Compile one ROS interface package into this environment. Run by the environment's Python.

The same ``CMakeLists.txt`` is what colcon builds in a ROS workspace; here it is configured and
installed directly, so that messages lie beside the ones from the wheels.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

PREFIX = Path(sys.prefix)


def is_present(package: str) -> bool:
    """Tell whether a package comes from elsewhere than this environment, i.e. a real ROS."""
    found = importlib.util.find_spec(package)
    return found is not None and not str(found.origin).startswith(str(PREFIX))


def build(source: Path) -> None:
    """Configure, compile and install one interface package; raise CalledProcessError on failure."""
    work = PREFIX / "build" / source.name
    env = dict(os.environ)
    env["PATH"] = os.pathsep.join([str(PREFIX / "bin"), env.get("PATH", "")])
    options = {
        "CMAKE_INSTALL_PREFIX": PREFIX,
        "CMAKE_PREFIX_PATH": ";".join(
            [str(PREFIX), *env.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
        ),
        "CMAKE_BUILD_TYPE": "Release",
        "Python3_EXECUTABLE": sys.executable,
        "BUILD_TESTING": "OFF",
    }
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    configure = ["cmake", "--fresh", "-G", "Ninja", "-S", str(source), "-B", str(work)]
    subprocess.run([*configure, *definitions], env=env, check=True)
    subprocess.run(["cmake", "--build", str(work), "--target", "install"], env=env, check=True)


def main() -> int:
    """Build the package named on the command line; return the exit status."""
    source = Path(sys.argv[1]).resolve()
    if "--unless-present" in sys.argv[2:] and is_present(source.name):
        print(f"{source.name} is already there")
        return 0
    try:
        build(source)
    except subprocess.CalledProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
