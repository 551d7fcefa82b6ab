"""By which seed the attacks are drawn, and how many of them are tried.

`make test` draws the same ones each time, so that a change is judged by what it changed; `make attack` draws
others.
"""

from __future__ import annotations

import os
import random

LENGTH = float(os.environ.get("CDVFT_ATTACK_LENGTH") or 0.25)
SEED = int(
    os.environ.get("CDVFT_ATTACK_SEED") or (28 if LENGTH < 1 else random.SystemRandom().randrange(10**6))
)
