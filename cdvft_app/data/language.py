"""In which language texts are, by py3langid; and its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

MIN_LETTERS, MIN_TEXTS = 20, 8  # of a text that is looked at, and how many of them
MAX_TEXTS, MAX_CHARACTERS = 200, 500
AGREE = 0.6  # share of the texts
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
}  # fmt: skip


def language_of(texts: Iterable[str]) -> str | None:
    """ISO 639-1 of the language that most of the first texts are in; None where they do not agree.

    Texts with fewer than `MIN_LETTERS` letters say nothing.
    """
    long_enough = [
        text[:MAX_CHARACTERS] for text in texts if len(_LETTER.findall(text[:MAX_CHARACTERS])) >= MIN_LETTERS
    ][:MAX_TEXTS]
    if len(long_enough) < MIN_TEXTS:
        return None
    from py3langid import classify

    ((language, count),) = Counter(classify(text)[0] for text in long_enough).most_common(1)
    return str(language) if count >= AGREE * len(long_enough) else None


def named(language: str) -> str:
    """The language's name in English."""
    return NAMES.get(language, f"the language “{language}”")
