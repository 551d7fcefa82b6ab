"""What `benchmarks/script_coverage.py` counts as code, as used and as unused."""

from benchmarks import script_coverage

MODULE = """// Says é.
/**
 * Doubles.
 */
function twice(x) {
  if (x < 0) return 0; // never

  return 2 * x;
}
"""


def ran(text: str, count: int) -> dict[str, int]:
    start = MODULE.index(text)
    return {"startOffset": start, "endOffset": start + len(text), "count": count}


def marked(flags: bytearray) -> list[str]:
    return [MODULE[start:end] for start, end in script_coverage.spans(flags)]


def test_lines_of_comments_and_blank_ones_are_no_code():
    code = script_coverage.code(MODULE)
    assert marked(code) == [
        "function twice(x) {", "if (x < 0) return 0; // never", "return 2 * x;", "}"
    ]  # fmt: skip
    assert script_coverage.summary({"twice.js": code}, {"twice.js": MODULE})["modules"]["twice.js"] == {
        "shipped": len(MODULE) + 1,  # é has two bytes
        "code": sum(map(len, marked(code))),
        "unused": sum(map(len, marked(code))),
    }


def test_a_block_counts_for_itself_and_what_any_file_used_is_used():
    function = {"ranges": [ran(MODULE[MODULE.index("function") :], 1), ran("return 0;", 0)]}
    used = script_coverage.counted(len(MODULE), [{"ranges": [ran(MODULE, 1)]}, function])
    first = {"used": {"twice.js": [*script_coverage.spans(used)]}}
    left = script_coverage.unused([first], {"twice.js": MODULE})["twice.js"]
    assert marked(left) == ["return 0;"]
    assert [*script_coverage.lines("twice.js", MODULE, left)] == ["twice.js:6: return 0;"]
    at = MODULE.index("return 0;")
    other = {"used": {"twice.js": [(at, at + 9)]}}
    assert not any(script_coverage.unused([first, other], {"twice.js": MODULE})["twice.js"])
