"""Real photos of an xArm7, without masks: ``make bench NAME=photos``.

Ten RGB-D photos, their encoder readings and a reference camera pose that is good to about 1 cm.
Masks only judge. Parts that are not run this time keep their rows, with the commit they are of.
Each part is in a module of its own: ``photos_camera``, ``photos_ablation``, ``photos_joints``, and
``photos_hydra`` for roboreg's Hydra, which needs ``make roboreg``.
"""

import json
import os
import sys
from typing import Any

from common import QUICK, RESULTS, Benchmark
from photos_ablation import ablation
from photos_camera import held_out, offsets_and_camera, one_photo, ten_photos
from photos_data import SPLATS, load_photos
from photos_hydra import hydra
from photos_joints import rows


def main() -> int:
    """Run the parts named in PHOTOS_PARTS (all by default)."""
    photos = load_photos()
    if photos is None:
        print("no photos or no xArm7: set DRROBOT_PHOTOS and DRROBOT_MENAGERIE")
        return 0
    parts = {
        "ten": ten_photos,
        "held_out": held_out,
        "one": one_photo,
        "offsets": offsets_and_camera,
        "joints": rows,
        "hydra": hydra,
        "ablation": ablation,
    }
    usual = "ten,held_out" if QUICK else ",".join(parts)
    wanted = os.environ.get("PHOTOS_PARTS", usual).split(",")
    bench = Benchmark("photos", splats=SPLATS, parts=wanted)
    for name in wanted:
        if name not in parts:
            print(f"unknown part {name!r}; there are: {', '.join(parts)}")
            return 2
        first = len(bench.rows)
        parts[name](bench, photos)
        for row in bench.rows[first:]:
            row["part"] = name
    kept = [row for row in rows_before() if row.get("part") not in wanted]
    status = bench.finish()
    if kept and not QUICK:
        keep(kept)
    return status


def rows_before() -> list[dict[str, Any]]:
    """Return the rows of the results there are, each with the commit it was measured at."""
    path = RESULTS / "photos.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text())
    return [{"commit": found["commit"], **row} for row in found["rows"]]


def keep(rows: list[dict[str, Any]]) -> None:
    """Add rows of parts that were not run this time to the results."""
    path = RESULTS / "photos.json"
    found = json.loads(path.read_text())
    found["rows"] += rows
    found["settings"]["parts"] += sorted({f"{row.get('part')} (kept)" for row in rows})
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
