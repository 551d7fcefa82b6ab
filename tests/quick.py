"""The tests that a change can break, the likeliest first, for about a minute: `make quick [SINCE=HEAD~3]`.

They are chosen by who imports whom, and which file names which; no earlier run is needed. Of tests as many
imports away from what changed those come first that share its rarer words; tests in Chromium come last.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath

import pytest
from sources import ROOT, imported, imports

SECONDS = 55
STARTING = 9.0  # of these: measured for pytest, torch, transformers and gradio
GUESSED = {False: 0.3, True: 5.0}  # seconds of a test that has not run here yet, by whether it has a browser
FOR_UNITS = 0.6  # of the time, where tests of both kinds are chosen
FOR_UNITS_OF_PAGE = 0.2  # the same, where only scripts or styles changed
KEPT = "quick/seconds"  # in pytest's cache: what each test function took

FUNCTION = re.compile(r"\bdef (\w{3,})")
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]{2,}")
SCRIPTS, STYLES, BROWSER = "assets/js/", "assets/css/", "tests/browser/"
# What tests speak of that see a style; its own words stand in no test.
LAYOUT = Counter(["viewport", "bounding_box", "getboundingclientrect", "scrollwidth", "axe_violations"])


def git(*words: str, root: Path = ROOT) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def base(root: Path = ROOT) -> str:
    """Where this branch left main; on main itself, its last commit."""
    for name in ("origin/main", "main"):
        try:
            return git("merge-base", "HEAD", name, root=root).strip()
        except subprocess.CalledProcessError:
            continue
    return "HEAD"


@dataclass(frozen=True)
class Change:
    """The files that differ, how often each word stands in the lines that do, and the functions of these."""

    files: frozenset[str]
    words: Counter[str] = field(default_factory=Counter)
    functions: frozenset[str] = frozenset()

    @classmethod
    def since(cls, commit: str, root: Path = ROOT) -> Change:
        new = git("ls-files", "--others", "--exclude-standard", root=root).split("\n")
        names = git("diff", "--name-only", "--no-renames", commit, root=root).split("\n") + new
        files = frozenset(filter(None, names))
        lines = git("diff", "--unified=0", commit, "--", *SOURCES, root=root).split("\n")
        # The line of a hunk that begins with @@ ends in the function that it is in.
        words = Counter(word for line in lines if line[:1] in "+-@" for word in WORD.findall(line.lower()))
        functions = {name.lower() for line in lines if line[:1] in "+-@" for name in FUNCTION.findall(line)}
        return cls(files, words, frozenset(functions))


SOURCES = ("*.py", "*.js", "*.css", "*.json", "*.html")


@dataclass(frozen=True)
class Tree:
    """Every file that git would keep, by its path, Python and scripts with their text."""

    files: dict[str, str]

    @classmethod
    def read(cls, root: Path = ROOT) -> Tree:
        names = git("ls-files", "--cached", "--others", "--exclude-standard", root=root).splitlines()
        there = [name for name in names if (root / name).is_file()]
        return cls({one: (root / one).read_text() if one.endswith((".py", ".js")) else "" for one in there})

    def module(self, name: str) -> str:
        """The name under which Python imports the file; tests and their helpers are imported by their own."""
        path = Path(name).with_suffix("")
        parts = path.parts[-1:] if name.startswith("tests/") else path.parts
        return ".".join(parts).removesuffix(".__init__")

    def uses(self) -> dict[str, set[str]]:
        """Of every file those that it imports or names; a package may load its modules by name."""
        modules = {self.module(name): name for name in self.files if name.endswith(".py")}
        data = defaultdict(set)
        for name in self.files:
            if not name.endswith(".py"):
                data[Path(name).name].add(name)
        found: dict[str, set[str]] = {name: set() for name in self.files}
        for name, source in self.files.items():
            if name.endswith(".js"):
                found[name] = self._uses_of_script(name, source)
            elif name.endswith(".py"):
                tree = ast.parse(source)
                named, also = _named(tree)
                if not name.startswith("deploy/") and not is_test(name):
                    named.discard("README.md")  # which is one that it writes
                for module in {*imports(self.module(name), tree, set(modules)), *also}:
                    found[name] |= set(_with_packages(module, modules))
                if name.endswith("__init__.py") and 'import_module(f"{__name__}.' in source:
                    found[name] |= {one for one in modules.values() if Path(one).parent == Path(name).parent}
                for one in named:
                    alike = fnmatch.filter(data, one) if "*" in one else [one]
                    found[name] |= {file for one in alike for file in data.get(one, ())}
                if name.startswith("tests/"):
                    found[name] |= {f"{one}/conftest.py" for one in Path(name).parents} & self.files.keys()
        return found

    def _uses_of_script(self, name: str, source: str) -> set[str]:
        folder = "tests/scripts" if name.startswith("tests/") else "assets/js"
        targets = imported(name.removeprefix(f"{folder}/"), source)
        found = {normpath(f"{folder}/{target}") for target in targets}
        found |= {f"{Path(name).parent}/{one}" for one in re.findall(r"[\w-]+\.json", source)}
        return found & self.files.keys()


def _with_packages(module: str, modules: dict[str, str]) -> Iterator[str]:
    """The file of a module (or of that which holds the name), and those of the packages that it is in."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        if found := modules.get(".".join(parts[:end])):
            yield found


def _named(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Names of files (`*` for what is put in at run time) and of modules, in the texts of a source."""
    files, modules = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(one.value) if isinstance(one, ast.Constant) else "*" for one in node.values]
            text = "".join(parts).rsplit("/", 1)[-1]
            if re.fullmatch(r"[\w*-]*[a-z]{4}[\w*-]*\.\w+", text):
                files.add(text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            files.add(node.value.rsplit("/", 1)[-1].replace("*", ""))
            modules.update(re.findall(r"\b(?:cdvft|cdvft_app|benchmarks|deploy)(?:\.\w+)+", node.value))
    return files, modules


def distances(uses: dict[str, set[str]], changed: Iterable[str]) -> dict[str, int]:
    """Of every file that a change reaches, over how many others."""
    used_by = defaultdict(set)
    for name, targets in uses.items():
        for target in targets:
            used_by[target].add(name)
    found, edge, step = {}, set(changed), 0
    while edge:
        found |= dict.fromkeys(edge, step)
        edge = {user for name in edge for user in used_by[name]} - found.keys()
        step += 1
    return found


def tabs_of_browser_test(source: str) -> set[str]:
    """The tabs that a test opens: Train, where a visit names none."""
    named = set(re.findall(r"tab=(\w+)", source))
    return named | {"train"} if re.search(r"visit\((?![^)]*tab=)", source) or not named else named


def tabs_of(name: str, reached: Iterable[str]) -> set[str] | None:
    """The tabs that show a file of assets, `reached` being the scripts that come by it; None for all tabs."""
    if not name.startswith((SCRIPTS, STYLES)):
        return None
    rooms = {one.removeprefix(SCRIPTS).removeprefix(STYLES).partition("/")[0] for one in (name, *reached)}
    return None if "page" in rooms or not rooms - {"shared"} or name.count("/") < 3 else rooms


@dataclass(frozen=True)
class Chosen:
    """A test function, how many imports its file is from the change, and how far their words agree."""

    file: str
    name: str
    distance: int
    likeness: float
    slow: bool

    @property
    def browser(self) -> bool:
        return self.file.startswith(BROWSER)

    @property
    def id(self) -> str:
        return f"{self.file}::{self.name}"

    @property
    def rank(self) -> tuple[bool, float, str]:
        return self.browser, self.distance - self.likeness, self.file


def select(tree: Tree, uses: dict[str, set[str]], change: Change) -> list[Chosen]:
    """Every test that the change can break, the likeliest first, those of the page in Chromium last."""
    reached = reached_tests(tree, uses, change.files)
    known = {name: functions(source) for name, source in tree.files.items() if is_test(name)}
    rarity = _rarity(words for one in known.values() for words, _ in one.values())
    words = change.words + (LAYOUT if any(name.startswith(STYLES) for name in change.files) else Counter())
    weights = {word: math.log(1 + count) * rarity.get(word, 0.0) for word, count in words.items()}
    weights |= {word: rarity[word] * 2 for one in change.files for word in _stem_words(one) if word in rarity}
    whole = sum(weights.values()) or 1.0
    rarest = max(rarity.values(), default=1.0) or 1.0
    chosen = []
    for name in reached:
        nearness = max((_nearness(name, one) for one in change.files), default=0.0)
        for test, (words, slow) in known[name].items():
            likeness = nearness + 3 * sum(weights.get(word, 0.0) for word in words) / whole
            # Who calls the very function that changed, where few do, comes before its file's own tests.
            likeness += 6 * max((rarity[one] for one in change.functions & words), default=0.0) / rarest
            chosen.append(Chosen(name, test, reached[name], likeness, slow))
    return sorted(chosen, key=lambda one: one.rank)


def is_test(name: str) -> bool:
    return bool(re.search(r"^tests/(.*/)?test_\w+\.py$", name))


def reached_tests(tree: Tree, uses: dict[str, set[str]], changed: frozenset[str]) -> dict[str, int]:
    """The test files that a change can break, and over how many others it comes to them."""
    found = {name: far for name, far in distances(uses, changed).items() if is_test(name)}
    return found | {name: 1 for name in _shown_in(tree, uses, changed) - changed}


def _shown_in(tree: Tree, uses: dict[str, set[str]], changed: frozenset[str]) -> set[str]:
    """The browser tests of the tabs whose scripts, styles or other files of the page changed."""
    opened = {}
    for test, source in tree.files.items():
        if test.startswith(f"{BROWSER}test_"):
            helpers = [one for one in uses[test] if one.startswith(BROWSER)]
            helpers = [one for one in helpers if not one.endswith(("conftest.py", "studio.py"))]
            opened[test] = tabs_of_browser_test(source + "".join(tree.files[one] for one in helpers))
    found = set()
    for name in changed:
        if name.startswith("assets/") and not name.endswith(".d.ts"):
            tabs = tabs_of(name, (one for one in distances(uses, [name]) if one.startswith(SCRIPTS)))
            found |= {test for test, of_test in opened.items() if tabs is None or tabs & of_test}
    return found


def functions(source: str) -> dict[str, tuple[set[str], bool]]:
    """The test functions of a file: their words, and whether they are marked as slow."""
    tree = ast.parse(source)
    lines = source.splitlines()
    all_slow = bool(re.search(r"^pytestmark\b.*\bslow\b", source, re.M))
    assigned = [one for node in tree.body if isinstance(node, ast.Assign) for one in ast.walk(node)]
    made = [one.id for one in assigned if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    # Of what others make of a file's tables all its words are.
    found = {one: (set(WORD.findall(source.lower())), all_slow) for one in made if one.startswith("test_")}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            text = "\n".join(lines[first - 1 : node.end_lineno])
            marked = any("slow" in ast.unparse(one) for one in node.decorator_list)
            found[node.name] = {word for word in WORD.findall(text.lower())}, marked or all_slow
    return found


def _nearness(test: str, changed: str) -> float:
    """How much the names of a test's file and folder are those of the changed file: tests mirror the tree."""
    of_test, of_file, folder = _stem_words(test), _stem_words(changed), str(Path(changed).parent)
    in_path = {word for part in Path(changed).parts for word in _stem_words(part)}
    mirrored = str(Path(test).parent) in (f"tests/{folder}", f"tests/{Path(folder).parent}")
    return 2.0 * (set(of_file) <= set(of_test)) + (set(of_test) <= in_path) + mirrored


def _stem_words(name: str) -> list[str]:
    words = re.split(r"[_.\W]+", Path(name).stem.lower())
    return [word for word in words if len(word) > 2 and word != "test"]


def _rarity(documents: Iterable[set[str]]) -> dict[str, float]:
    """How much a word tells: the logarithm of how few tests have it."""
    counts, number = Counter(), 0
    for words in documents:
        counts.update(words)
        number += 1
    return {word: math.log(number / count) for word, count in counts.items()}


def estimated(one: Chosen, seconds: Mapping[str, float]) -> float:
    return seconds.get(one.id, GUESSED[one.browser] * (10 if one.slow else 1))


def fitting(
    chosen: list[Chosen], seconds: Mapping[str, float], room: float, of_page: bool = False
) -> list[Chosen]:
    """Of the tests those for which there is time, in their order; a long one gives way to shorter ones.

    Those in Chromium have a part of the time for themselves, most of it where only scripts or styles changed.
    """
    taken: list[Chosen] = []
    units = [one for one in chosen if not one.browser]
    pages = [one for one in chosen if one.browser]
    left = room
    of_units = FOR_UNITS_OF_PAGE if of_page else FOR_UNITS
    for ones, share in ((units, of_units if pages else 1.0), (pages, 1.0), (units, 1.0)):
        limit = left - room * (1 - share)
        for one in ones:
            needed = estimated(one, seconds)
            if one not in taken and needed <= limit:
                taken.append(one)
                limit, left = limit - needed, left - needed
    return sorted(taken, key=lambda one: one.rank)


class Box:
    """Runs the tests taken in their order, begins none once the time is over, and says what was left out.

    That the time is over is no failure.
    """

    def __init__(self, chosen: list[Chosen], taken: list[Chosen], end: float) -> None:
        self.chosen, self.end = chosen, end
        self.places = {one.id: place for place, one in enumerate(taken)}
        self.ran: set[str] = set()
        self.why = NO_TIME

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if function_id(item.nodeid) in self.places]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        failed = config.cache.get("cache/lastfailed", {}) if config.cache else {}
        first: dict[str, int] = {}
        for item in wanted:  # files stay together: what a file's tests share is made once
            file = item.nodeid.partition("::")[0]
            place = -1 if item.nodeid in failed else self.places[function_id(item.nodeid)]
            first[file] = min(place, first.get(file, place))
        items[:] = sorted(wanted, key=lambda item: first[item.nodeid.partition("::")[0]])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.ran.add(function_id(report.nodeid))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if time.monotonic() > self.end:
            places = {item.nodeid: place for place, item in enumerate(self.session.items)}
            del self.session.items[places[nodeid] + 1 :]

    def pytest_keyboard_interrupt(self) -> None:
        self.why = "it was interrupted"

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_unconfigure(self) -> None:
        print(left_out([one for one in self.chosen if one.id not in self.ran], self.why))


def function_id(nodeid: str) -> str:
    """Of a test its file and function, without its class and its case."""
    file, _, rest = nodeid.partition("::")
    return f"{file}::{rest.partition('[')[0].rpartition('::')[2]}"


NO_TIME = "there was no time (`make quick SECONDS=200` takes more)"


def left_out(ones: list[Chosen], why: str = NO_TIME) -> str:
    if not ones:
        return "Nothing was left out that the change can reach."
    files = Counter(one.file for one in ones)
    named = [f"  {count:4d} of {file}" for file, count in [*files.items()][:12]]
    more = [f"       and of {len(files) - 12} other files"] if len(files) > 12 else []
    first = f"Left out, for {why}: {len(ones)} tests that may notice it, the likeliest first."
    return "\n".join([first, *named, *more])


def kept_seconds() -> dict[str, float]:
    file = ROOT / ".pytest_cache" / "v" / KEPT
    return json.loads(file.read_text()) if file.is_file() else {}


def main(since: str = "", seconds: str = "") -> int:
    begun = time.monotonic()
    change = Change.since(since or base())
    tree = Tree(dict.fromkeys(change.files, "") | Tree.read().files)  # with what is gone, which some imported
    if not change.files:
        print("Nothing has changed since main: `make quick SINCE=HEAD~1` takes the last commit.")
        return 0
    of_scripts = any(name.startswith((SCRIPTS, "tests/scripts/")) for name in change.files)
    code = run_script_tests() if of_scripts else 0
    if code:
        print("FAILED tests/scripts")
    uses = tree.uses()
    chosen = select(tree, uses, change)
    print(f"{len(change.files)} files differ, which {len(chosen)} tests can notice.")
    if unread := [name for name in sorted(change.files) if not reached_tests(tree, uses, frozenset([name]))]:
        print(f"No test reads {', '.join(unread)}: `make check` does, and sees to links, format and types.")
    allowed = float(seconds or SECONDS)
    of_page = all(name.startswith((SCRIPTS, STYLES)) for name in change.files)
    taken = fitting(chosen, kept_seconds(), allowed - STARTING - (time.monotonic() - begun), of_page)
    if not taken:
        print(left_out(chosen))
        return code
    files = [*dict.fromkeys(one.file for one in taken)]
    return pytest.main(files, plugins=[Box(chosen, taken, begun + allowed)]) or code


def run_script_tests() -> int:
    """The scripts' own tests, which take two seconds: their exit code."""
    if not shutil.which("npm"):
        print("Left out, for npm is missing: tests/scripts.")
        return 0
    return subprocess.run(["npm", "run", "--silent", "test"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(*sys.argv[1:]))
