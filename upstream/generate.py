"""Put the tuner into a checkout or an unpacked source distribution of PEFT: python -m upstream.generate PATH"""

from __future__ import annotations

import sys
from pathlib import Path

from upstream.tree import write

if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "src", "peft").is_dir():
        sys.exit("Give the path of a checkout of PEFT, which has the folder src/peft.")
    print(*write(Path(sys.argv[1])), sep="\n")
