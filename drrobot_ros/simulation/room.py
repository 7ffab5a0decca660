"""What is around a simulated robot: a plain colour, or a room with a table and loose objects."""

from typing import Any

import mujoco
import numpy as np

from drrobot_ros.simulation import textures
from drrobot_ros.simulation.bodies import add_material, add_texture
from drrobot_ros.simulation.config import SceneConfig

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
_SPHERE = mujoco.mjtGeom.mjGEOM_SPHERE
_CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE
_ELLIPSOID = mujoco.mjtGeom.mjGEOM_ELLIPSOID
TABLE_HEIGHT_M = 0.74
_ROOM_M = 3.2  # from the middle to a wall
_BRIGHT = ((0.86, 0.33, 0.24), (0.17, 0.45, 0.62), (0.95, 0.72, 0.25), (0.32, 0.58, 0.38))


def add_surroundings(spec: Any, config: SceneConfig, bottom_m: float) -> None:
    """Add lights and background; the robot stands at height `bottom_m` of the scene's world."""
    _add_lights(spec, config, bottom_m)
    rng = np.random.default_rng(config.seed)
    grey = config.background_grey if config.background == "plain" else 0.92
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[grey] * 3,
        rgb2=[grey] * 3,  # the face below
        width=16,
        height=16,
    )
    if config.background == "plain":
        return
    on_table = config.support == "table"
    _add_room(spec, rng, bottom_m - (TABLE_HEIGHT_M if on_table else 0))
    if on_table:
        _add_table(spec, rng, bottom_m)
    if config.background == "clutter":
        _add_clutter(spec, rng, bottom_m)


def add_occluders(spec: Any, config: SceneConfig) -> list[str]:
    """Add boxes that can be placed by mocap positions, and return their names."""
    rng = np.random.default_rng(config.seed + 1)
    names = []
    for i in range(config.occluders):
        name = f"occluder{i}"
        body = spec.worldbody.add_body(name=name, mocap=True)
        size = rng.uniform(0.03, 0.08, 3)
        _add(body, _BOX, size, (0, 0, 0), _BRIGHT[i % len(_BRIGHT)])
        names.append(name)
    return names


def add_person(spec: Any, config: SceneConfig) -> str | None:
    """Add somebody whose feet are at the origin of a mocap body, facing x; return its name."""
    if not config.person:
        return None
    body = spec.worldbody.add_body(name="person", mocap=True)
    shirt, trousers, skin = (0.20, 0.28, 0.36), (0.16, 0.16, 0.18), (0.80, 0.62, 0.52)
    for side in (-1, 1):
        _add(body, _CAPSULE, (0.075, 0.37, 0), (0, side * 0.1, 0.44), trousers)
        # Arms hang a little forward.
        _add(body, _CAPSULE, (0.045, 0.30, 0), (0.06, side * 0.25, 1.1), shirt, quat=(1, 0, 0.1, 0))
        _add(body, _SPHERE, (0.05, 0, 0), (0.12, side * 0.25, 0.76), skin)
    _add(body, _ELLIPSOID, (0.13, 0.21, 0.34), (0, 0, 1.15), shirt)
    _add(body, _ELLIPSOID, (0.095, 0.08, 0.125), (0.02, 0, 1.62), skin)
    return "person"


def _add_lights(spec: Any, config: SceneConfig, bottom_m: float) -> None:
    tint = np.array([1 + 0.25 * config.warmth, 1.0, 1 - 0.25 * config.warmth])
    level = tint * config.brightness
    head = spec.visual.headlight
    head.ambient, head.diffuse = config.ambient * level, config.headlight * level
    head.specular = 0.1 * config.headlight * level
    azimuth = config.lamp_azimuth_rad
    offset = np.array([np.cos(azimuth), np.sin(azimuth), 2.9])
    spec.worldbody.add_light(
        pos=offset + np.array([0, 0, bottom_m]),
        dir=np.array([0, 0, 0.35]) - offset,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        ambient=[0, 0, 0],
        diffuse=config.lamp * level,
        specular=0.5 * config.lamp * level,
        castshadow=config.shadows,
    )
    spec.visual.quality.shadowsize = config.shadow_map_px if config.shadows else 0
    # The lamp's shadow map must hold the robot and the table, no more.
    spec.stat.extent = 2.6
    spec.visual.map.shadowclip = 1.5
    spec.stat.center = [0, 0, bottom_m + 0.4]


def _add_room(spec: Any, rng: np.random.Generator, floor_m: float) -> None:
    add_texture(spec, "planks", textures.planks(rng))
    add_texture(spec, "plaster", textures.plaster(rng))
    add_material(spec, "planks", "planks", texrepeat=[3, 3], specular=0.1)
    add_material(spec, "plaster", "plaster", texrepeat=[2, 2], specular=0.0)
    world, r = spec.worldbody, _ROOM_M
    _add(world, _BOX, (r, r, 0.05), (0, 0, floor_m - 0.05), material="planks")
    for sign in (-1, 1):
        _add(world, _BOX, (0.05, r, 1.6), (sign * (r + 0.05), 0, floor_m + 1.6), material="plaster")
        _add(world, _BOX, (r, 0.05, 1.6), (0, sign * (r + 0.05), floor_m + 1.6), material="plaster")
        skirting = (0.95, 0.95, 0.94)
        _add(world, _BOX, (0.01, r, 0.05), (sign * (r - 0.01), 0, floor_m + 0.05), skirting)
        _add(world, _BOX, (r, 0.01, 0.05), (0, sign * (r - 0.01), floor_m + 0.05), skirting)
    for angle in (0.0, 0.5 * np.pi, np.pi, 1.5 * np.pi):  # a cabinet and a picture at each wall
        c, s = np.cos(angle), np.sin(angle)
        along, out = np.array([-s, c, 0]), np.array([c, s, 0])
        quat = (np.cos(angle / 2), 0, 0, np.sin(angle / 2))
        shift = rng.uniform(-1.2, 1.2)
        place = (r - 0.25) * out + shift * along + [0, 0, floor_m + 0.42]
        _add(world, _BOX, (0.22, 0.65, 0.42), place, (0.78, 0.66, 0.53), quat=quat)
        for side in (-1, 1):
            door = place + side * 0.32 * along - 0.225 * out
            _add(world, _BOX, (0.01, 0.30, 0.38), door, (0.84, 0.72, 0.59), quat=quat)
        picture = (r - 0.01) * out + (shift + 0.2) * along + [0, 0, floor_m + 1.65]
        _add(world, _BOX, (0.012, 0.46, 0.33), picture, (0.97, 0.97, 0.95), quat=quat)
        color = _BRIGHT[int(rng.integers(len(_BRIGHT)))]
        soft = tuple(0.62 * v + 0.36 for v in color)
        _add(world, _BOX, (0.016, 0.36, 0.24), picture, soft, quat=quat)


def _add_table(spec: Any, rng: np.random.Generator, top_m: float) -> None:
    add_texture(spec, "wood", textures.wood(rng))
    add_material(spec, "wood", "wood", texrepeat=[1, 1], specular=0.15, shininess=0.3)
    world = spec.worldbody
    _add(world, _BOX, (0.75, 0.60, 0.02), (0.15, 0, top_m - 0.0205), material="wood")
    for x in (-0.54, 0.84):
        for y in (-0.54, 0.54):
            half = (TABLE_HEIGHT_M - 0.04) / 2
            place = (x, y, top_m - 0.04 - half)
            _add(world, _BOX, (0.03, 0.03, half), place, (0.25, 0.27, 0.29))


def _add_clutter(spec: Any, rng: np.random.Generator, bottom_m: float) -> None:
    for _ in range(24):
        angle, distance = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 0.62)
        size = rng.uniform(0.015, 0.07, 3)
        kind = (_BOX, _CYLINDER, _SPHERE)[int(rng.integers(3))]
        half = size[0] if kind == _SPHERE else size[1] if kind == _CYLINDER else size[2]
        place = (distance * np.cos(angle) + 0.1, distance * np.sin(angle), bottom_m + half)
        turn = rng.uniform(-np.pi, np.pi)
        quat = (np.cos(turn / 2), 0, 0, np.sin(turn / 2))
        _add(spec.worldbody, kind, size, place, tuple(rng.uniform(0.05, 0.95, 3)), quat=quat)


def _add(
    body: Any,
    kind: Any,
    size: Any,
    pos: Any,
    rgb: tuple[float, ...] = (1.0, 1.0, 1.0),
    *,
    quat: tuple[float, ...] = (1, 0, 0, 0),
    material: str = "",
) -> None:
    body.add_geom(
        type=kind,
        size=size,
        pos=pos,
        quat=quat,
        rgba=(*rgb, 1.0),
        material=material,
        contype=0,
        conaffinity=0,
    )
