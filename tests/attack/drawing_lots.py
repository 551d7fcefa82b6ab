"""By which seed the attacks are drawn, and how many of them are tried."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("CDVFT_ATTACK_SEED") or random.SystemRandom().randrange(10**6))
LENGTH = float(os.environ.get("CDVFT_ATTACK_LENGTH") or 0.25)
