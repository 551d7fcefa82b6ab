"""In which language texts are, by py3langid; and its name."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

MIN_LETTERS, MIN_TEXTS = 20, 8  # of a text that is looked at, and how many of them
MAX_TEXTS, MAX_CHARACTERS = 200, 500
AGREE = 0.6  # share of the texts that must be in the language, or in the languages, that are named
OFTEN = 0.2  # share of them that is in a language, from which it is one of several
SURE = 0.5  # confidence in a text from which it counts for that; short ones are often misjudged
SEVERAL = "mul"  # of ISO 639-2
_LETTER = re.compile(r"[^\W\d_]")
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "ms": "Malay", "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
    SEVERAL: "several languages",
}  # fmt: skip


def language_of(texts: Iterable[str]) -> str | None:
    """ISO 639-1 of the language that most of the texts are in; `SEVERAL` where they are in several ones.

    Up to `MAX_TEXTS` are looked at, from the first to the last. Those with fewer than `MIN_LETTERS` letters
    say nothing. None where too many are in languages that few of them are in, as texts of codes seem to be.
    """
    long_enough = [
        text[:MAX_CHARACTERS] for text in texts if len(_LETTER.findall(text[:MAX_CHARACTERS])) >= MIN_LETTERS
    ]
    if len(long_enough) < MIN_TEXTS:
        return None
    long_enough = long_enough[:: math.ceil(len(long_enough) / MAX_TEXTS)]
    found = [_identifier().classify(text) for text in long_enough]
    counts = Counter(str(language) for language, _ in found)
    sure = Counter(str(language) for language, confidence in found if confidence >= SURE)
    often = [one for one, count in sure.items() if count >= OFTEN * len(found)]
    if len(often) < 2:
        often = [counts.most_common(1)[0][0]]
    if sum(counts[one] for one in often) < AGREE * len(found):
        return None
    return SEVERAL if len(often) > 1 else often[0]


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)  # unlike py3langid.classify


def named(language: str) -> str:
    """Return the language's name in English."""
    return NAMES.get(language, f"the language “{language}”")
