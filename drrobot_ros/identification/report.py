"""The report of an identification: Markdown, figures, and the numbers as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drrobot_ros.identification.identify import IdentificationResult


def write_report(
    result: IdentificationResult, folder: str | Path, remarks: Sequence[str] = ()
) -> Path:
    """Write report.md, parameters.csv, torques.png and parameters.png; return the first.

    Args:
        result: of `identify`.
        folder: made if it is not there.
        remarks: further lines, e.g. what was written elsewhere.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_parameters(result, folder / "parameters.csv")
    figures = _write_figures(result, folder)
    lines = [
        f"# Identification of {result.model.name}",
        "",
        f"Verdict: **{result.verdict}**." + ("" if not result.reasons else " Because:"),
        *(f"- {reason}" for reason in result.reasons),
        "",
        "## Torques",
        "",
        "Root mean squares, N m or N. Validated: on parts of the recording left out of the fit.",
        "",
        "| joint | torque | error as loaded | fitted | validated | share |",
        "|---|---|---|---|---|---|",
    ]
    for j in result.joints:
        share = j.validated / max(j.torque, 1e-12)
        lines.append(
            f"| {j.name} | {j.torque:.4g} | {j.before:.4g} | {j.fitted:.4g} | {j.validated:.4g} "
            f"| {share:.1%} |"
        )
    lines += ["", *(f"![]({name})" for name in figures), "", "## Links", ""]
    lines += ["| link | mass as loaded, kg | identified | std |", "|---|---|---|---|"]
    std = np.sqrt(np.diag(result.covariance))
    for k, i in enumerate(result.layout.links):
        p = 10 * k
        name = result.model.link_names[i]
        lines.append(f"| {name} | {result.prior[p]:.4g} | {result.x[p]:.4g} | {std[p]:.2g} |")
    lines += ["", "A large std: the torques show the link's mass only together with others'.", ""]
    lines += _joint_lines(result, std)
    lines += ["## Excitation", "", f"Condition number: {result.condition:.4g}.", ""]
    lines += [f"{len(result.base.independent)} combinations of {len(result.x)} parameters show."]
    lines += _listed("Hardly shown by this recording", result.weak)
    lines += _listed("Never shown by any motion of these joints", result.base.silent)
    lines += _listed("Combinations", result.base.combined())
    lines += _listed("Notes", [*result.notes, *remarks])
    path = folder / "report.md"
    path.write_text("\n".join(lines) + "\n")
    return path


def _joint_lines(result: IdentificationResult, std: np.ndarray) -> list[str]:
    lines = ["## Joints", "", "| joint | armature | damping | friction | offset |"]
    lines.append("|---|---|---|---|---|")
    m = len(result.layout.joints)
    for k, i in enumerate(result.layout.joints):
        cells = []
        for field in range(3):
            p = result.layout.count + field * m + k
            cells.append(f"{result.x[p]:.4g} ± {std[p]:.2g}")
        d = int(result.model.tree.v_index[i])
        known = np.isfinite(result.offset_std[d])
        offset = f"{result.offsets[d]:.4g} ± {result.offset_std[d]:.2g}" if known else "not sought"
        lines.append(f"| {result.model.tree.joint_names[i]} | {' | '.join(cells)} | {offset} |")
    return [*lines, ""]


def _listed(title: str, items: Sequence[str]) -> list[str]:
    return ["", f"### {title}", "", *(f"- {item}" for item in items)] if items else []


def _write_parameters(result: IdentificationResult, path: Path) -> None:
    std = np.sqrt(np.diag(result.covariance))
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["parameter", "as_loaded", "least_squares", "identified", "std"])
        columns = (result.prior, result.least_squares, result.x, std)
        for i, name in enumerate(result.layout.names):
            table.writerow([name, *(f"{c[i]:.9g}" for c in columns)])


def _write_figures(result: IdentificationResult, folder: Path) -> list[str]:
    """Draw without pyplot, which would choose a window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    r = result.recording
    assert r.v is not None and r.a is not None and r.tau is not None
    some = np.linspace(0, len(r.time_s) - 1, min(len(r.time_s), 800)).astype(int)
    predicted = result.predict(r.q[some], r.v[some], r.a[some])
    names = [j.name for j in result.joints]
    figure = Figure(figsize=(9, 1.6 * len(names) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axis, name in zip(axes, names, strict=True):
        i = result.model.joint_names.index(name)
        axis.plot(r.time_s[some], r.tau[some, i], lw=0.6, color="0.6", label="measured")
        axis.plot(r.time_s[some], predicted[:, i], lw=1.0, color="C0", label="identified")
        axis.set_ylabel(name, fontsize="small")
    axes[0].legend(loc="upper right", fontsize="small")
    axes[-1].set_xlabel("time, s")
    figure.savefig(folder / "torques.png", dpi=100)
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    links = [result.model.link_names[i] for i in result.layout.links]
    at, p = np.arange(len(links)), 10 * np.arange(len(links))
    axis.bar(at - 0.2, result.prior[p], 0.4, color="0.7", label="as loaded")
    std = np.sqrt(np.diag(result.covariance))[p]
    axis.bar(at + 0.2, result.x[p], 0.4, yerr=std, color="C0", label="identified")
    axis.set_xticks(at, links, rotation=30, ha="right", fontsize="small")
    axis.set_ylabel("mass, kg")
    axis.legend()
    figure.savefig(folder / "parameters.png", dpi=100)
    return ["torques.png", "parameters.png"]
