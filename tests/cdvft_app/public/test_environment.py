"""When a server is public, and whom it takes a visitor for."""

from __future__ import annotations

import pytest

from cdvft_app.public.visitors import visitor
from cdvft_app.settings.environment import NAMES, environment


@pytest.fixture
def set_environment(monkeypatch):
    def setting(**variables):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return environment()

    return setting


@pytest.mark.parametrize(
    ("variables", "public"),
    [
        ({}, False),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, False),
        ({"GRADIO_SERVER_NAME": "localhost"}, False),
        ({"GRADIO_SERVER_NAME": "[::1]"}, False),
        ({"GRADIO_SHARE": "False"}, False),
        ({"SPACE_ID": "owner/space"}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"GRADIO_SERVER_NAME": "class.example.org"}, True),
        ({"GRADIO_SHARE": "True"}, True),
        ({"CDVFT_PUBLIC": "1"}, True),
        ({"CDVFT_PUBLIC": "0", "SPACE_ID": "owner/space", "GRADIO_SHARE": "true"}, False),
        ({"CDVFT_PUBLIC": "auto", "SPACE_ID": "owner/space"}, True),
    ],
)
def test_auto_is_public_where_others_reach_the_server(set_environment, variables, public):
    assert set_environment(**variables).public is public


def test_no_message_shows_the_operators_key(set_environment):
    with pytest.raises(ValueError, match="CDVFT_OPERATOR_KEY: use at least 12"):
        set_environment(CDVFT_OPERATOR_KEY="sesame")
    known = set_environment(CDVFT_OPERATOR_KEY="open, sesame seed", CDVFT_CODES="blue-7, red-9")
    assert "open, sesame seed" not in repr(known)
    assert known.operator_key.get_secret_value() == "open, sesame seed"
    assert known.codes == ("blue-7", "red-9")


@pytest.mark.parametrize(
    ("account", "code", "address", "who"),
    [
        ("ada", "blue-7", "192.0.2.1", "account ada"),
        (None, "blue-7", "192.0.2.1", "code blue-7"),
        (None, "blue-8", "192.0.2.1", "address 192.0.2.1"),
        (None, "", "2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"),
        (None, "", "2001:db8:1:2:ffff::", "address 2001:db8:1:2::/64"),
        (None, "", "::ffff:192.0.2.1", "address 192.0.2.1"),
        (None, "\ud800", "", "address unknown"),
    ],
)
def test_a_visitor_is_an_account_else_a_known_code_else_an_address(
    set_environment, account, code, address, who
):
    assert visitor(set_environment(CDVFT_CODES="blue-7, red-9"), account, code, address) == who
