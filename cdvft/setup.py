"""Builds the wheel of the library with its compiled kernel, which pyproject.toml cannot express.

The kernel is a shared library that ctypes loads, so that one wheel per platform serves every Python. Where it
cannot be compiled, or with CDVFT_PURE_WHEEL=1 in the environment, the wheel is for any platform, and the
kernel is compiled on first use.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

KERNEL = Path("kernels", "native")
IS_PURE = os.environ.get("CDVFT_PURE_WHEEL") == "1"


def compiled(build_lib: str) -> list[Path]:
    """Return the kernel's libraries within a build."""
    return list(Path(build_lib, "cdvft", KERNEL).glob("chain-*"))


class BuildWithKernel(build_py):
    """Compiles the kernel into the build, and leaves this file out of it."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]

    def run(self) -> None:
        super().run()
        if self.editable_mode or IS_PURE:
            return
        spec = importlib.util.spec_from_file_location("compiler", KERNEL / "compiler.py")
        assert spec is not None and spec.loader is not None
        compiler = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiler)
        try:
            compiler.compile_all(Path(self.build_lib, "cdvft", KERNEL))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            for file in compiled(self.build_lib):
                file.unlink()
            self.warn(f"The kernel was not compiled and will be on first use: {error}")


class WheelForEveryPython(bdist_wheel):
    """Tags the wheel: it depends on the platform only, or with an uncompiled kernel on nothing."""

    def get_tag(self) -> tuple[str, str, str]:
        *_, platform = super().get_tag()
        build_lib = self.get_finalized_command("build_py").build_lib
        return "py3", "none", platform if compiled(build_lib) else "any"


class PlatformDistribution(Distribution):
    """Has a platform-specific wheel although it has no extension modules."""

    def has_ext_modules(self) -> bool:
        return not IS_PURE


def build_folders() -> dict[str, dict[str, str]]:
    """In a checkout, folders for a build outside this one, which is the package itself."""
    checkout = Path.cwd().parent
    if not (checkout / "cdvft_app").is_dir():
        return {}
    folder = checkout / "build" / "cdvft"
    folder.mkdir(parents=True, exist_ok=True)
    return {"build": {"build_base": str(folder)}, "egg_info": {"egg_base": str(folder)}}


if __name__ == "__main__":
    setup(
        cmdclass={"build_py": BuildWithKernel, "bdist_wheel": WheelForEveryPython},
        distclass=PlatformDistribution,
        options=build_folders(),
    )
