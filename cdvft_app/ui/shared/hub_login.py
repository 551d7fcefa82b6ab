"""Signing in with an account of the hub, which only a Space offers."""

from __future__ import annotations

import os
from importlib.util import find_spec


def on_space() -> bool:
    return bool(os.environ.get("SPACE_ID"))


def has_login() -> bool:
    """Whether people can sign in here: the hub gives a Space these names when its settings ask for OAuth."""
    return on_space() and bool(os.environ.get("OAUTH_CLIENT_ID")) and find_spec("authlib") is not None
