"""Write rows.jsonl beside this file from usaddress' labelled training data (MIT; see LICENSE here).

    python assets/us_addresses/make.py labeled.xml

`labeled.xml` is training/labeled.xml of usaddress 0.5.16 (github.com/datamade/usaddress, tag v0.5.16).
Kept are complete addresses: with number, street, city, state and zip, nothing named twice, no recipient and
no crossing. Rows that share a street stay on one side, so that nothing asked in the test was trained on.
"""

import json
import random
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

FIELDS = ("number", "street", "unit", "city", "state", "zip")
FIELD_OF = {
    **dict.fromkeys(("AddressNumber", "AddressNumberSuffix", "AddressNumberPrefix"), "number"),
    **dict.fromkeys(
        (
            "StreetName",
            "StreetNamePostType",
            "StreetNamePreDirectional",
            "StreetNamePostDirectional",
            "StreetNamePreType",
            "StreetNamePreModifier",
            "StreetNamePostModifier",
        ),
        "street",
    ),
    **dict.fromkeys(
        ("OccupancyType", "OccupancyIdentifier", "SubaddressType", "SubaddressIdentifier"), "unit"
    ),
    "PlaceName": "city",
    "StateName": "state",
    "ZipCode": "zip",
}
NEEDED = {"number", "street", "city", "state", "zip"}
TEST, VALIDATION = 96, 48


def complete(xml: bytes) -> list[dict[str, str]]:
    """The addresses that are kept, in the file's order, each text once."""
    found: dict[str, dict[str, str]] = {}
    seen = set()
    for address in ElementTree.fromstring(xml):
        tokens = [(token.tag, (token.text or "").strip()) for token in address]
        tokens = [(tag, word) for tag, word in tokens if word]
        text = " ".join(word for _, word in tokens)
        if not text or text.lower() in seen:
            continue
        seen.add(text.lower())
        if any(tag not in FIELD_OF for tag, _ in tokens):
            continue
        names = [FIELD_OF[tag] for tag, _ in tokens]
        runs = [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
        if len(runs) != len(set(runs)) or not set(runs) >= NEEDED:
            continue
        words: dict[str, list[str]] = {}
        for name, (_, word) in zip(names, tokens, strict=True):
            words.setdefault(name, []).append(word)
        values = {name: " ".join(words[name]).strip(" ,") for name in FIELDS if name in words}
        found[text] = {"address": text, **values}
    return list(found.values())


def split(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with their side: streets are shuffled, and fill test, then validation, then train."""
    streets: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        streets.setdefault(re.sub(r"[^a-z0-9]", "", row["street"].lower()), []).append(row)
    order = sorted(streets)
    random.Random(0).shuffle(order)
    sides: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for street in order:
        side = "train"
        if len(sides["test"]) < TEST:
            side = "test"
        elif len(sides["validation"]) < VALIDATION:
            side = "validation"
        sides[side] += streets[street]
    random.Random(1).shuffle(sides["train"])
    sides["validation"], sides["test"] = sides["validation"][:VALIDATION], sides["test"][:TEST]
    return [{"split": side, **row} for side, members in sides.items() for row in members]


if __name__ == "__main__":
    made = split(complete(Path(sys.argv[1]).read_bytes()))
    lines = [json.dumps(row, ensure_ascii=False) for row in made]
    (Path(__file__).parent / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
