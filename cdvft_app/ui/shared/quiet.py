"""How listeners are connected that answer while one types: nobody's API, and no spinner over a field."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
