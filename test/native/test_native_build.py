"""Building and loading the C++ kernels."""

import shutil
import subprocess
import sys

import pytest

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.native import build, library


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Builds go to an empty folder."""
    monkeypatch.setenv("DRROBOT_NATIVE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def small_source(tmp_path_factory, monkeypatch):
    """A source folder that compiles in no time."""
    folder = tmp_path_factory.mktemp("src")
    for name in ("version.cpp", "simd.hpp"):
        shutil.copy(build.SOURCE_DIR / name, folder / name)
    monkeypatch.setattr(build, "SOURCE_DIR", folder)
    return folder


def test_builds_once_and_again_only_after_a_change(empty_folder, small_source, capsys):
    paths = build.build(verbose=True)
    assert [p.parent for p in paths] == [empty_folder] * len(build.variants())
    assert all(p.exists() for p in paths)
    assert "version.cpp" in capsys.readouterr().out
    times = [p.stat().st_mtime_ns for p in paths]
    assert build.build(verbose=True) == paths
    assert capsys.readouterr().out == ""
    assert [p.stat().st_mtime_ns for p in paths] == times
    (small_source / "simd.hpp").write_text((small_source / "simd.hpp").read_text() + "\n")
    build.build()
    assert [p.stat().st_mtime_ns for p in paths] != times
    leftovers = {p.name for p in empty_folder.iterdir()} - {".lock"}
    assert leftovers == {p.name for p in paths} | {p.with_suffix(".hash").name for p in paths}


def test_missing_compiler_names_the_package_to_install(empty_folder, monkeypatch):
    monkeypatch.setenv("PATH", str(empty_folder))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BackendError, match=r"no C\+\+ compiler .* apt-get install g\+\+") as error:
        build.build()
    assert "\n" not in str(error.value)
    monkeypatch.setattr(library, "_open", library._open.__wrapped__)
    with pytest.raises(BackendError, match=r"python -m drrobot_ros.native.build"):
        library.available_isas()


def test_command_line_fails_with_one_line_and_status_1(empty_folder):
    command = [sys.executable, "-m", "drrobot_ros.native.build"]
    environment = {
        "PATH": str(empty_folder),
        "DRROBOT_NATIVE_DIR": str(empty_folder),
        "PYTHONPATH": str(build.SOURCE_DIR.parents[2]),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install g++" in done.stderr


def test_source_that_does_not_compile_shows_the_compilers_words(empty_folder, small_source):
    (small_source / "broken.cpp").write_text("int main( {")
    with pytest.raises(BackendError, match=r"(?s)compiler failed.*broken\.cpp.*error"):
        build.build()
    assert not list(empty_folder.glob("*.so"))


def test_folder_that_cannot_be_written(tmp_path, small_source, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DRROBOT_NATIVE_DIR", str(tmp_path / "file" / "lib"))
    with pytest.raises(BackendError, match="DRROBOT_NATIVE_DIR"):
        build.build()


def test_needs_nothing_but_the_standard_library():
    code = (
        "import sys, drrobot_ros.native.build;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_instruction_set_of_this_processor_loads():
    names = library.available_isas()
    assert names[0] == "baseline"
    for name in names:
        lib = library.load(name)
        lib.drr_isa.restype = library.ctypes.c_char_p
        assert lib.drr_isa().decode() == name
        assert lib.drr_lanes() == (16 if name == "avx512" else 8)


def test_chosen_and_unknown_instruction_set(monkeypatch):
    monkeypatch.setenv("DRROBOT_NATIVE_ISA", "baseline")
    assert library.library() is library.load("baseline")
    monkeypatch.setenv("DRROBOT_NATIVE_ISA", "")
    assert library.library() is library.load(library.available_isas()[-1])
    monkeypatch.setenv("DRROBOT_NATIVE_ISA", "mmx")
    with pytest.raises(InputError, match="unknown instruction set 'mmx'; valid: baseline"):
        library.library()


def test_damaged_library_says_how_to_mend_it(empty_folder, monkeypatch):
    for isa in build.variants():
        build.library_path(isa).write_bytes(b"not a library")
        build.library_path(isa).with_suffix(".hash").write_text(
            build.fingerprint(build.variants()[isa])
        )
    with pytest.raises(BackendError, match=r"cannot load .*python -m drrobot_ros.native.build"):
        library._open.__wrapped__("baseline")
