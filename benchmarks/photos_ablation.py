"""Which evidence helps where, on real photos: the same start led by each kind and each mixture."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from common import QUICK, Benchmark
from photos_camera import ALL, FITTED, config, find_camera
from photos_data import Photos, overlap, wrong_start

from drrobot_ros.estimation.calibration import ImageEvidence
from drrobot_ros.estimation.calibration.stages import Stage
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages

MIXTURES = (
    ("plate",),
    ("regions",),
    ("plate", "regions"),
    ("plate", "regions", "parts"),
    ("depth",),
    ("plate", "regions", "depth"),
)
RIGID = "links exactly where their meshes are"
STARTS = 1  # per row
NEAR_AND_FAR = ((0.03, 1.5), (0.1, 5.0))


class Only(ImageEvidence):
    """The usual evidence, of the named terms only."""

    def __init__(self, settings, terms: Sequence[str]) -> None:
        super().__init__(settings, frozenset({"camera"}))
        self._terms = frozenset(terms)

    def targets(
        self,
        camera: str,
        stage: Stage,
        levels: Sequence[Level],
        rendered: Sequence[RenderedImages],
        bare: Sequence[ImageTarget],
    ) -> list[ImageTarget]:
        """Return targets of these terms, whatever the stage asks for."""
        only = dataclasses.replace(stage, terms=self._terms)
        return super().targets(camera, only, levels, rendered, bare)


def ablation(bench: Benchmark, photos: Photos) -> None:
    """Add position error and IoU of every mixture, from near and from afar, without a search."""
    mixtures = [(terms, "") for terms in (MIXTURES[:3] if QUICK else MIXTURES)]
    mixtures.append((("plate", "regions"), RIGID))
    for which in [ALL] if QUICK else [ALL, FITTED]:
        # Five photos judge the fine stage only, by their IoU on all.
        for shift, turn in NEAR_AND_FAR if which is ALL else NEAR_AND_FAR[:1]:
            for terms, rigid in mixtures:
                mm, shares = [], []
                for seed in range(STARTS):
                    settings = config(shift, turn, hypotheses=0, fine_width=320, rounds=6)
                    if rigid:
                        settings = dataclasses.replace(settings, link_sigma_m=0.0)
                    start = wrong_start(photos.T, seed, shift, turn)
                    run = find_camera(
                        photos,
                        which,
                        start,
                        settings,
                        depth="depth" in terms,
                        evidence=Only(settings, terms),
                    )
                    mm.append(round(run.mm, 2))
                    shares.append(overlap(photos, run.T, ALL))
                bench.add(
                    f"ablation, {len(which)} photos, {100 * shift:.0f} cm off: "
                    + ", ".join([" + ".join(terms), *([rigid] if rigid else [])]),
                    float(np.median(mm)),
                    "mm",
                    each=mm,
                    iou=round(float(np.median(shares)), 4),
                )
