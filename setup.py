"""What pyproject.toml has no words for: cdvft.pth is installed beside the packages, assets inside the app."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ASSETS = Path("assets")
NOT_INSTALLED = "screenshots"


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

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), "cdvft.pth", *map(str, self._assets())]

    @staticmethod
    def _assets() -> list[Path]:
        return sorted(
            file for file in ASSETS.rglob("*") if file.is_file() and NOT_INSTALLED not in file.parts
        )


setup(cmdclass={"build_py": WithAssets})
