"""``drrobot reconstruct``: files in, files out, and complaints."""

import numpy as np
import pytest

from drrobot_ros.cli import main
from drrobot_ros.media import write_image
from drrobot_ros.scene import read_scene

FAST = ["--no-scene-meshes", "--scene-appearance-steps", "2", "--scene-appearance-width-px", "80"]


@pytest.fixture
def words(small_table, tmp_path):
    from PIL import Image

    given = small_table[0]
    write_image(tmp_path / "color.png", given.color)
    millimetres = np.rint(1e3 * given.depth_m).astype(np.uint16)
    Image.fromarray(millimetres).save(tmp_path / "depth.png")
    camera = given.camera
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy]
    boxes = [f"{v:g}" for v in given.boxes.ravel()]
    return {
        "files": [str(tmp_path / "color.png"), str(tmp_path / "depth.png")],
        "boxes": ["--boxes", *boxes, "--names", *given.names],
        "camera": ["--camera", *map(str, numbers)],
        "output": ["--output", str(tmp_path / "out"), *FAST],
    }


def test_scene_and_pictures_are_written(words, tmp_path, capsys):
    assert main(["reconstruct", *(w for part in words.values() for w in part)]) == 0
    scene = read_scene(tmp_path / "out")
    assert [item.name for item in scene.objects] == ["box", "bottle"]
    assert scene.frame == "plane"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scene.xml", "scene.glb", "masks.png", "ellipsoids.png", "side.png"} <= names
    assert "confidence" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "replacement", "complaint"),
    [
        ("boxes", ["--boxes", "1", "2", "3"], "four numbers for each object"),
        ("camera", [], "the intrinsics are missing"),
        ("boxes", ["--boxes", "900", "10", "950", "60"], "outside the image"),
        ("output", ["--depth-scale", "1"], "metres"),
    ],
)
def test_what_cannot_be_used_is_one_line(words, part, replacement, complaint, capsys):
    changed = {**words, part: replacement}
    assert main(["reconstruct", *(w for group in changed.values() for w in group)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
