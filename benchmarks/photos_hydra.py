"""The ten photos by roboreg's Hydra, which takes masks, depth and encoders, beside ours."""

import subprocess

import numpy as np
from common import QUICK, Benchmark
from photos_camera import ALL, config, find_camera
from photos_data import Photos, folder, overlap, pose_error, wrong_start
from photos_roboreg.compare import MissingError, run_hydra


def hydra(bench: Benchmark, photos: Photos) -> None:
    """Add rows of Hydra's and our overlap with the masks, and of both CPU times."""
    where = folder()
    assert where is not None  # the photos were read from there
    try:
        peer = run_hydra(photos.model, where, (0,) if QUICK else (0, 1, 2))
    except MissingError as error:
        print(f"roboreg's Hydra was not run: {error}")
        return
    except subprocess.CalledProcessError as error:
        print(f"roboreg's Hydra failed: {error.stderr[-1000:]}")
        return
    start = wrong_start(photos.T, 0, 0.2, 10.0)
    ours = find_camera(photos, ALL, start, config(0.2, 10.0))
    own = overlap(photos, ours.T, ALL)
    masked = find_camera(photos, ALL, start, config(0.2, 10.0), mask=True)
    theirs = [overlap(photos, T, ALL) for T in peer.poses]
    away = [pose_error(T, photos.T) for T in peer.poses]
    name = f"roboreg {peer.version} Hydra, masks and depth"
    bench.add(f"{name}: IoU", float(np.median(theirs)), "", each=theirs)
    bench.add(f"{name}: position", float(np.median([m for m, _ in away])), "mm")
    bench.add(f"{name}: between draws of points", peer.spread_mm, "mm")
    bench.add(f"{name}: CPU time of one solution", float(np.median(peer.cpu_s)), "s")
    bench.add(f"{name}: wall time of its command", peer.process_s, "s", cpu_s=peer.process_cpu_s)
    bench.add(
        "ours (RGB, no masks, from 20 cm / 10 deg) less Hydra: IoU",
        own - float(np.median(theirs)),
        "",
        floor=0.0,
        better="higher",
    )
    bench.add("ours, masks given: IoU", overlap(photos, masked.T, ALL), "", mm=masked.mm)
    ratio = ours.cpu_s / float(np.median(peer.cpu_s))
    bench.add("ours over Hydra: CPU time of one solution", ratio, "x", floor=1.0, cpu_s=ours.cpu_s)
