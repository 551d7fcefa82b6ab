"""The page as a Hugging Face Space with ZeroGPU would start it, with a stand-in of the package `spaces`.

python tests/zero_gpu/as_space.py build/space   # serves on http://127.0.0.1:7860 until Ctrl-C
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

STAND_IN = Path(__file__).resolve().parent


def environment(home: Path, port: int = 7860) -> dict[str, str]:
    """That of a Space: its names, its hardware, and a home that is lost at a restart."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "CHROMIUM") if name in os.environ}
    return {
        **inherited,
        "SYSTEM": "spaces",
        "SPACE_ID": "you/cdvft-studio",
        "SPACE_HOST": "you-cdvft-studio.hf.space",
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": "http://device-api.zero",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(port),
        "RUNS_DIR": str(home / "runs"),
        "PYTHONPATH": str(STAND_IN),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        **{name: value for name, value in os.environ.items() if name.startswith(("STAND_IN_", "CDVFT_"))},
    }


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    home = Path(tempfile.mkdtemp(prefix="space-"))
    print("http://127.0.0.1:7860 (its GPU is this CPU, lent by the second)", flush=True)
    os.chdir(folder)
    os.execve(sys.executable, [sys.executable, "app.py"], environment(home))


if __name__ == "__main__":
    main()
