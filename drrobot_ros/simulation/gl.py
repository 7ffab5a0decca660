"""An off-screen OpenGL context for MuJoCo, also on machines without a display."""

import os
import platform
from typing import Any

from drrobot_ros.errors import BackendError, unknown_name

BACKENDS = ("egl", "osmesa", "glfw")
_HELP = {
    "egl": "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri",
    "osmesa": "apt-get install libosmesa6",
    "glfw": "start a display, or set MUJOCO_GL=egl",
}


def backend_name() -> str:
    """Return what ``MUJOCO_GL`` asks for; without it EGL, which needs no display.

    Raises:
        InputError: ``MUJOCO_GL`` has another value.
    """
    name = os.environ.get("MUJOCO_GL", "").lower().strip()
    if not name:
        return "egl" if platform.system() == "Linux" else "glfw"
    if name not in BACKENDS:
        raise unknown_name("value of MUJOCO_GL", name, BACKENDS)
    return name


def make_context(width: int, height: int) -> Any:
    """Return an off-screen context; call its ``make_current`` in the thread that draws.

    The backend is chosen here, so it does not matter whether mujoco was imported before.

    Raises:
        BackendError: the libraries for it are missing; the message says what to install.
    """
    name = backend_name()
    # MuJoCo's C library reads this when it looks up OpenGL's functions.
    os.environ["MUJOCO_GL"] = name
    try:
        if name == "egl":
            from mujoco.egl import GLContext
        elif name == "osmesa":
            from mujoco.osmesa import GLContext
        else:
            from mujoco.glfw import GLContext
        context = GLContext(width, height)
        context.make_current()
        return context
    except Exception as error:  # each backend has errors of its own, down to AttributeError
        raise BackendError(
            f"no off-screen OpenGL with MUJOCO_GL={name} ({error}); try: {_HELP[name]}"
        ) from error
