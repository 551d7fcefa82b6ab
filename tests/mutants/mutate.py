"""Break the project's arithmetic on purpose, one small change at a time, and see whether a test notices.

mutmut changes the functions of the files that pyproject.toml names (an operator, a number, an argument, a
branch), never their texts, and runs the tests that reach the change. Arguments are mutmut's own.
"""

from __future__ import annotations

import os
import resource
import sys

import libcst
from mutmut.__main__ import cli
from mutmut.mutation import mutators

MAX_BYTES = 8 * 2**30  # of addresses for each process: a wrong size once took a machine's whole memory

resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a thousand short sessions need none of them
mutators.mutation_operators.remove((libcst.BaseString, mutators.operator_string))  # type: ignore[attr-defined]
cli(sys.argv[1:])
