"""Kinematics and dynamics: accuracy against MuJoCo and pinocchio, speed beside other libraries.

Accuracy in double precision on the robots of the Menagerie and of ``models/``; speed in single
precision (the seed's library knows no other) on a Panda: a value, and a value with its gradients.
Ratios are the other's time over ours; rows read "what, batch size". All use THREADS threads
(default one, which the others do better with on a busy machine), pinocchio one.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dynamics_peers as peers
import torch
from common import QUICK, ROOT, Benchmark, measure
from torch import Tensor

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "test" / "robot_dynamics"))
import oracles  # pyright: ignore

from drrobot_ros.native.library import set_num_threads
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES

BATCHES = (1, 1024) if QUICK else (1, 64, 1024, 16384)
STATES = 20 if QUICK else 200


def menagerie() -> Path:
    named = os.environ.get("DRROBOT_MENAGERIE")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def robots() -> list[tuple[str, RobotModel]]:
    """Return all robots there are to compare on."""
    found = []
    for name in oracles.MENAGERIE:
        path = menagerie() / name / MAIN_FILES[name]
        if path.is_file():
            found.append((name, RobotModel.from_mjcf(path)))
    for path in sorted((ROOT / "models").glob("*/*.*")):
        if path.suffix in (".urdf", ".xml"):
            found.append((path.name, RobotModel.load(path)))
    found.append(("floating, ball, slide and hinges", oracles.every_motion()))
    found.append(("the same, coupled", oracles.coupled_motions()))
    return found


def accuracy(bench: Benchmark) -> None:
    worst: dict[str, float] = {}

    def note(key: str, value: float) -> None:
        worst[key] = max(worst.get(key, 0.0), value)

    count = 0
    for name, model in robots():
        s = oracles.states(model, STATES)
        tau = model.inverse_dynamics(s.q, s.v, s.a, resistance=False)
        try:
            a = model.forward_dynamics(s.q, s.v, tau, resistance=False)
        except ValueError as error:
            print(f"{name}: {error}")
            a = None
        mj = oracles.by_mujoco(model, s, tau)
        pin = oracles.Pinocchio(model)
        note("RNEA against MuJoCo", oracles.relative(tau, mj.tau))
        note("RNEA against pinocchio", oracles.relative(tau, pin.inverse_dynamics(s)))
        M = model.mass_matrix(s.q)
        note("CRBA against MuJoCo", oracles.relative(M, mj.M))
        note("CRBA against pinocchio", oracles.relative(M, pin.mass_matrix(s)))
        ours = model.inverse_dynamics_derivatives(s.q, s.v, s.a, resistance=False)
        for x, y in zip(ours, pin.inverse_dynamics_derivatives(s), strict=True):
            note("derivatives of RNEA against pinocchio", oracles.relative(x, y))
        if a is not None:
            note("ABA(RNEA) round trip", oracles.relative(a, s.a))
            forward = oracles.States(s.q, s.v, tau)
            note("ABA against pinocchio", oracles.relative(a, pin.forward_dynamics(forward)))
            if not pin.coupled:  # MuJoCo couples joints by soft constraints
                note("ABA against MuJoCo", oracles.relative(a, mj.a))
                ours = model.forward_dynamics_derivatives(s.q, s.v, tau, resistance=False)
                theirs = pin.forward_dynamics_derivatives(forward)
                for x, y in zip(ours, theirs, strict=True):
                    note("derivatives of ABA against pinocchio", oracles.relative(x, y))
        count += 1
    bench.add("robots compared", count, "", floor=8, better="higher")
    for key, value in worst.items():
        floor = 1e-6 if key.startswith("derivatives") else 1e-8
        bench.add(f"{key}, worst relative error", value, "", floor=floor)


Work = Callable[..., Tensor]


def median_s(work: Callable[[], Any], seconds: float) -> float:
    """Return the median time; of work that takes long only two runs after the first."""
    work()
    start = time.perf_counter()
    work()
    once = time.perf_counter() - start
    if once < seconds / 5:
        return measure(work, seconds=seconds, warm_up=1, max_runs=5000).median_s
    start = time.perf_counter()
    work()
    return min(once, time.perf_counter() - start)


def passes(run: Work, inputs: tuple[Tensor, ...]) -> dict[str, Callable[[], Any]]:
    """Return the two things measured: a value, and a value with its gradients."""
    leaves = tuple(x.clone().requires_grad_() for x in inputs)

    def value() -> None:
        with torch.no_grad():
            run(*inputs)

    def gradients() -> None:
        out = run(*leaves)
        torch.autograd.grad(out, leaves, torch.ones_like(out))

    return {"value": value, "gradient": gradients}


def speed(bench: Benchmark) -> None:
    peers.install()
    urdf = peers.panda_urdf()
    model = RobotModel.load(urdf)
    pk, seed = peers.PytorchKinematics(urdf), peers.Seed(urdf)
    pin = peers.Pinocchio(urdf)
    end = peers.END_LINK
    ours: dict[str, Work] = {
        "fk": model.forward_kinematics,
        "jacobian": lambda q: model.jacobian(q, end),
        "inverse": model.inverse_dynamics,
        "mass": model.mass_matrix,
        "forward": model.forward_dynamics,
    }
    titles = {
        "fk": "FK",
        "jacobian": "Jacobian",
        "inverse": "RNEA",
        "mass": "CRBA",
        "forward": "ABA",
    }
    seconds = 0.05 if QUICK else 0.5
    for batch in BATCHES:
        s = oracles.states(model, batch)
        q, v, a = s.q.float(), s.v.float(), s.a.float()
        for work, run in ours.items():
            inputs = (q,) if work in ("fk", "jacobian", "mass") else (q, v, a)
            mine = {k: median_s(f, seconds) for k, f in passes(run, inputs).items()}
            for peer in (pk, seed):
                if not hasattr(peer, work):
                    continue
                for k, f in passes(getattr(peer, work), inputs).items():
                    theirs = median_s(f, seconds)
                    bench.add(
                        f"{titles[work]}, {batch}, {k}: times {peer.name}",
                        theirs / mine[k],
                        "x",
                        floor=speed_floor(work, batch, peer.name),
                        better="higher",
                        ours_ms=1e3 * mine[k],
                        theirs_ms=1e3 * theirs,
                    )
            if work != "jacobian" and batch == 1024:
                wide = (s.q, s.v, s.a)[: len(inputs)]
                low = [x.numpy() for x in (s.q, s.v, s.a)]
                double = median_s(passes(run, wide)["value"], seconds)
                bench.add(
                    f"{titles[work]}, 1024, float64: times pinocchio (one thread)",
                    pin.seconds(work, *low) * batch / double,
                    "x",
                    better="higher",
                    ours_ms=1e3 * double,
                )
    compiled(bench, model, pk, seconds)


def speed_floor(work: str, batch: int, peer: str) -> float:
    """Return how many times faster this has to be."""
    if batch == 1024 and work == "fk" and peer == peers.PytorchKinematics.name:
        return 3.0
    if batch == 1024 and work in ("inverse", "forward"):
        return 10.0
    return 1.0


def compiled(
    bench: Benchmark, model: RobotModel, pk: peers.PytorchKinematics, seconds: float
) -> None:
    """Compare with pytorch-kinematics under torch.compile."""
    if QUICK:
        return
    q = oracles.states(model, 1024).q.float()
    for work, run in (("fk", pk.fk), ("jacobian", pk.jacobian)):
        fast: Any = torch.compile(run, dynamic=False)
        mine = model.forward_kinematics if work == "fk" else _end_jacobian(model)
        with torch.no_grad():
            theirs = median_s(lambda fast=fast: fast(q), seconds)
            own = median_s(lambda mine=mine: mine(q), seconds)
        bench.add(
            f"{work}, 1024, value: times pytorch-kinematics compiled",
            theirs / own,
            "x",
            floor=1.0,
            better="higher",
            ours_ms=1e3 * own,
            theirs_ms=1e3 * theirs,
        )


def _end_jacobian(model: RobotModel) -> Work:
    return lambda q: model.jacobian(q, peers.END_LINK)


def main() -> int:
    threads = int(os.environ.get("THREADS", "1"))
    torch.set_num_threads(threads)
    set_num_threads(threads)
    bench = Benchmark("dynamics", batches=BATCHES, states=STATES, threads=threads)
    accuracy(bench)
    speed(bench)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
