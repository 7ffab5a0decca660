"""Run roboreg's Hydra robust ICP on prepared photos; executed in roboreg's own environment.

    .venv-roboreg/bin/python run_hydra.py FOLDER OUTPUT.json SEED...

Reads what prepare.py wrote, solves once per seed (another draw of points on the meshes), writes
poses and times. Settings are those of its own command `rr-hydra`, its defaults.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

STARTED = time.perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from roboreg.io import (  # noqa: E402
    find_files,
    load_robot_data_from_urdf_file,
    parse_hydra_observations,
    parse_intrinsics,
)
from roboreg.registration.point_cloud.config import (  # noqa: E402
    HydraConfig,
    HydraRobustICPConfig,
)
from roboreg.registration.point_cloud.request import HydraRequest  # noqa: E402
from roboreg.registration.point_cloud.solver import HydraRobustICP  # noqa: E402
from roboreg.util.transform import generate_ht_optical  # noqa: E402

IMPORTED = time.perf_counter()


def main(folder: Path, output: Path, seeds: list[int]) -> None:
    links = json.loads((folder / "links.json").read_text())
    observations = parse_hydra_observations(
        joint_states_files=find_files(folder, "joint_states_*.npy"),
        mask_files=find_files(folder, "mask_*.png"),
        depth_files=find_files(folder, "depth_*.npy"),
    )
    robot = load_robot_data_from_urdf_file(
        folder / "robot.urdf", root_link_name=links["root"], end_link_name=links["end"]
    )
    request = HydraRequest(
        intrinsics=parse_intrinsics(folder / "camera_info.yaml"),
        robot_data=robot,
        observations=observations,
    )
    loaded = time.perf_counter()
    solver = HydraRobustICP(HydraRobustICPConfig(HydraConfig()), device="cpu")
    optical = generate_ht_optical(dtype=torch.float64, device="cpu").numpy()
    runs = []
    for seed in seeds:
        torch.manual_seed(seed)
        start, cpu = time.perf_counter(), time.process_time()
        result = solver(request)
        runs.append(
            {
                "seed": seed,
                # Hydra works in the camera's body axes (x forward); ours are optical ones.
                "T_base_camera": (result.extrinsics.double().numpy() @ optical).tolist(),
                "iterations": int(result.iterations),
                "stop": str(result.termination_reason),
                "wall_s": time.perf_counter() - start,
                "cpu_s": time.process_time() - cpu,
            }
        )
    times = {"import_s": IMPORTED - STARTED, "load_s": loaded - IMPORTED}
    about = {"version": version("roboreg"), "threads": torch.get_num_threads(), **times}
    output.write_text(json.dumps({**about, "runs": runs}, indent=1))


if __name__ == "__main__":
    np.random.seed(0)
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
