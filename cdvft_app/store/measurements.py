"""The history's table of measured training steps: the latest for each model, method, setting and device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cdvft_app.methods import flat
from cdvft_app.store import states
from cdvft_app.store.database import Database
from cdvft_app.store.leases import Leases

KEY = ("model", "method", "setting", "targets", "batch", "sequence")


class Measurements:
    """`RunStore.measurements`; any thread and process may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, result: Mapping[str, Any]) -> None:
        """Insert a result of `cdvft_app.measuring.measure`, or replace the earlier one."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO measurements (what, device, time, result) VALUES (?, ?, ?, ?)",
                (_key(result), result["device"], result["time"], json.dumps(dict(result))),
            )

    def latest(
        self,
        *,
        model: str,
        method: str,
        setting: Mapping[str, int | None],
        targets: Sequence[str],
        batch: int,
        sequence: int,
        device: str,
    ) -> dict[str, Any] | None:
        """Return the kept result, or None; the names are those of a cost table's row and of the result."""
        what = _key({"model": model, "method": method, "setting": setting, "targets": targets,
                      "batch": batch, "sequence": sequence})  # fmt: skip
        with self._database.reading() as connection:
            query = "SELECT result FROM measurements WHERE what = ? AND device = ?"
            row = connection.execute(query, (what, device)).fetchone()
        return row and json.loads(row["result"])

    def all(self, limit: int = 200) -> list[dict[str, Any]]:
        """Return the kept results, latest first."""
        with self._database.reading() as connection:
            query = "SELECT result FROM measurements ORDER BY time DESC LIMIT ?"
            rows = connection.execute(query, (limit,)).fetchall()
        return [json.loads(row["result"]) for row in rows]

    def any(self) -> bool:
        """Return whether anything was ever measured here."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM measurements LIMIT 1").fetchone() is not None

    def disturbed(self) -> bool:
        """Return whether a run trains now, in any process: both would slow each other down."""
        Leases(self._database).expire()
        with self._database.reading() as connection:
            query = f"SELECT 1 FROM runs WHERE state IN {states.sql(states.ACTIVE)} LIMIT 1"
            return connection.execute(query).fetchone() is not None


def _key(values: Mapping[str, Any]) -> str:
    method = flat.method_of(values["method"], values["setting"])
    setting = flat.flat_values(method, method.sizes())  # a name for each, as the history has them
    by_name = {**values, "setting": setting}
    return json.dumps([by_name[name] for name in KEY], sort_keys=True)
