"""What another program may do to the history while this one has it open."""

import subprocess
import sys
from contextlib import closing

from cdvft_app.store.runs import HISTORY, RunStore

LEAVES_LOGGING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
try:
    print(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
except sqlite3.OperationalError as error:
    print(error)
"""


def test_a_second_look_at_the_history_leaves_the_locks_of_the_first(tmp_path):
    with closing(RunStore(tmp_path)) as first, closing(RunStore(tmp_path)) as second:
        assert first.history(1) == second.history(1) == []
        with closing(RunStore(tmp_path)):
            pass
        # SQLite deletes the log for the one connection alone that has the file open.
        asked = [sys.executable, "-c", LEAVES_LOGGING, str(tmp_path / HISTORY)]
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert found == "database is locked"
