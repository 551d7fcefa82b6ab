"""What pyproject.toml has no words for: what lies beside the packages, the app's assets, the compiled kernel.

A wheel holds the kernel as a library that ctypes loads, so that one wheel serves every Python of a platform.
Where it cannot be compiled, or the environment has CDVFT_PURE_WHEEL=1, the wheel is for any platform, and the
kernel is compiled where it is first used.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ASSETS = Path("assets")
NOT_INSTALLED = "screenshots"
KERNEL = Path("cdvft", "kernels", "native")


class WithAssets(build_py):
    """Python reads .pth files in site-packages alone, so that one cannot be a package's data."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file("cdvft.pth", self.build_lib)
            for file in self._assets():
                there = Path(self.build_lib, "cdvft_app", file)
                self.mkpath(str(there.parent))
                self.copy_file(str(file), str(there))
            self._compile_kernel()

    def _compile_kernel(self) -> None:
        if os.environ.get("CDVFT_PURE_WHEEL") == "1":
            return
        spec = importlib.util.spec_from_file_location("compiler", KERNEL / "compiler.py")
        compiler = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiler)
        try:
            compiler.compile_all(Path(self.build_lib) / KERNEL)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            for file in compiled(self.build_lib):
                file.unlink()
            self.warn(f"The kernel is left to be compiled on first use: {error}")

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), "cdvft.pth", *map(str, self._assets())]

    @staticmethod
    def _assets() -> list[Path]:
        return sorted(
            file for file in ASSETS.rglob("*") if file.is_file() and NOT_INSTALLED not in file.parts
        )


class ForEveryPython(bdist_wheel):
    """The kernel depends on the platform, and on no Python."""

    def get_tag(self) -> tuple[str, str, str]:
        *_, platform = super().get_tag()
        built = compiled(self.get_finalized_command("build_py").build_lib)
        return "py3", "none", platform if built else "any"


class WithKernel(Distribution):
    def has_ext_modules(self) -> bool:
        return os.environ.get("CDVFT_PURE_WHEEL") != "1"


def compiled(build_lib: str) -> list[Path]:
    """The kernel's libraries within a build."""
    return list(Path(build_lib, KERNEL).glob("chain-*"))


setup(
    cmdclass={"build_py": WithAssets, "bdist_wheel": ForEveryPython},
    distclass=WithKernel,
)
