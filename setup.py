"""Builds the studio's wheel with the page's assets, which are not inside its package in a checkout."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ASSETS = Path("assets")
NOT_INSTALLED = "screenshots"


class BuildWithAssets(build_py):
    """Copies the assets into the package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for file in self._assets():
                target = Path(self.build_lib, "cdvft_app", file)
                self.mkpath(str(target.parent))
                self.copy_file(str(file), str(target))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *map(str, self._assets())]

    @staticmethod
    def _assets() -> list[Path]:
        files = (file for file in ASSETS.rglob("*") if file.is_file())
        return sorted(file for file in files if NOT_INSTALLED not in file.parts)


setup(cmdclass={"build_py": BuildWithAssets})
