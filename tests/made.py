"""Files as people bring them: a clean table, one with every fault, a zip of pictures."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from pathlib import Path

GOOD, BAD = ("lovely", "moving", "clever"), ("dull", "clumsy", "empty")


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, verdict), all different: made up, where no index can be asked for real ones."""
    drawn = random.Random(seed)
    rows = []
    for place in range(count):
        good = place % 2 == 0
        words = drawn.choices(GOOD if good else BAD, k=3)
        rows.append((f"scene {place}, {' and '.join(words)}; a film", "good" if good else "bad"))
    return rows


def reviews(count: int = 500) -> list[tuple[str, str]]:
    """The first rows of Rotten Tomatoes in a fixed order, with words for the labels; they may be fetched."""
    from cdvft_app.catalog import offline

    with (offline.ensure("rotten_tomatoes") / "reviews.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], ("bad", "good")[int(row["label"])]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    return rows[:count]


def clean_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("review", "verdict"), *rows])
    return path


def faulty_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Windows-1252 and semicolons; from line 2 on: a long, a short, an open, an empty and an unlabelled row,
    "Good" in capitals, and two rows that come again, one of them with the other label."""
    (first, verdict), *others = rows
    other = "good" if verdict == "bad" else "bad"
    lines = [
        "number;review;verdict",
        "0;too;many;values",
        "1;no verdict",
        '2;"never closed;good',
        "3;;bad",
        f"4;{others[0][0].replace(';', ',')} again;",
        "5;a caf\u00e9 scene that is clever;Good",
        f'6;"{first}";{verdict}',
        f'7;"{first}";{verdict}',
        f'8;"{first}";{other}',
        *(
            f'{place};"{text.replace(chr(34), chr(34) * 2)}";{label}'
            for place, (text, label) in enumerate(others, 9)
        ),
    ]
    path.write_bytes("\r\n".join(lines).encode("cp1252", "replace"))
    return path


def answers_jsonl(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Instructions with their answers, of one word: what a thing in a sentence is of."""
    drawn = random.Random(seed)
    kinds = {"spoon": "steel", "table": "oak", "window": "glass", "shirt": "cotton"}
    with path.open("w", encoding="utf-8") as file:
        for place in range(count):
            thing = drawn.choice([*kinds])
            asked = {"instruction": "What is it made of?", "input": f"The {thing} in room {place}."}
            file.write(json.dumps({**asked, "output": kinds[thing]}) + "\n")
    return path


def picture(value: int, size: int = 16) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (size, size), value).save(file, "PNG")
    return file.getvalue()


def digits_zip(path: Path, count: int = 60) -> Path:
    """Digits of scikit-learn, one folder a class."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    with zipfile.ZipFile(path, "w") as archive:
        for place in range(count):
            file = io.BytesIO()
            grey = np.round(digits.images[place] * (255 / 16)).astype(np.uint8)
            Image.fromarray(grey).save(file, "PNG")
            archive.writestr(f"digits/{digits.target[place]}/{place:03}.png", file.getvalue())
    return path


def written(folder: Path, text: str, name: str = "rows.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding, "replace"))
    return path


def zipped(folder: Path, files: dict[str, str | bytes], name: str = "pictures.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return folder / name
