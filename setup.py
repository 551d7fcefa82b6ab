"""What pyproject.toml has no words for: cdvft.pth is installed beside the packages."""

from setuptools import setup
from setuptools.command.build_py import build_py


class WithStartup(build_py):
    """Python reads .pth files in site-packages alone, so this one cannot be a package's data."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file("cdvft.pth", self.build_lib)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), "cdvft.pth"]


setup(cmdclass={"build_py": WithStartup})
