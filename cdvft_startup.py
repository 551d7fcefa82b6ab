"""Makes CDVFT known to PEFT when that is imported; Python runs it at its start, by cdvft.pth.

Who forgets `import cdvft` would get PEFT's KeyError: 'CDVFT'. So what pip installs imports it with PEFT.
Python runs a line of a .pth file at each start (https://docs.python.org/3/library/site.html); this one waits
for PEFT.
"""

import sys


class BeforePeft:
    """A finder of modules that finds none: it imports cdvft before PEFT is looked for."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "peft":
            return None
        sys.meta_path.remove(BeforePeft)
        import importlib.util

        import cdvft  # noqa: F401

        return importlib.util.find_spec(name)


sys.meta_path.insert(0, BeforePeft)
