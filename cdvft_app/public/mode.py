"""Whether this server is public, and what holds then: read from the environment, and asked by every check."""

from __future__ import annotations

import os
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(gt=0)]
SHORTEST_KEY = 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Before a Space only the hub's proxies are there. They append the address of who asked to X-Forwarded-For.
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)  # fmt: skip


def _parts(text: object) -> object:
    """ "a, b" as ("a", "b")."""
    return tuple(part for one in text.split(",") if (part := one.strip())) if isinstance(text, str) else text


Parts = Annotated[tuple[str, ...], BeforeValidator(_parts)]


class Mode(BaseModel):
    """Each field is the environment variable in its alias.

    The server is public if CDVFT_PUBLIC says so; with `auto`, if it is a Space, is bound to an address that
    others reach, or is shared by a link.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    setting: Literal["auto", "1", "0"] = Field("auto", alias="CDVFT_PUBLIC")
    space: str = Field("", alias="SPACE_ID")
    space_hosts: Parts = Field((), alias="SPACE_HOST")  # beside its own name that of a custom domain
    oauth_secret: SecretStr = Field(SecretStr(""), alias="OAUTH_CLIENT_SECRET")
    bound_to: str = Field("127.0.0.1", alias="GRADIO_SERVER_NAME")
    share: str = Field("", alias="GRADIO_SHARE")
    budget_seconds: Amount = Field(1800, alias="CDVFT_BUDGET_SECONDS")
    budget_hours: Amount = Field(24, alias="CDVFT_BUDGET_HOURS")
    codes: Parts = Field((), alias="CDVFT_CODES")
    trusted_proxies: Parts = Field((), alias="CDVFT_TRUSTED_PROXIES")
    hosts: Parts = Field((), alias="CDVFT_HOSTS")
    operator_key: SecretStr = Field(SecretStr(""), alias="CDVFT_OPERATOR_KEY")
    upload_bytes: Size = Field(500_000_000, alias="CDVFT_UPLOAD_BYTES")
    upload_hours: Amount = Field(1, alias="CDVFT_UPLOAD_HOURS")

    @property
    def public(self) -> bool:
        if self.setting != "auto":
            return self.setting == "1"
        return bool(self.space) or self.shared or not _loopback(self.bound_to)

    @property
    def proxies(self) -> str:
        """Whose word counts on where a request comes from, as uvicorn's FORWARDED_ALLOW_IPS.

        It takes the last address of X-Forwarded-For that is not one of these: whoever asks makes up those
        before. Empty, nobody's word counts; left out, uvicorn trusts loopback.
        """
        return ",".join(self.trusted_proxies or (PRIVATE_NETWORKS if self.space else ()))

    @property
    def hub_accounts(self) -> bool:
        """Whether sessions are signed with the secret that the hub gives a Space: nobody makes one up."""
        return bool(self.space and self.oauth_secret.get_secret_value())

    @property
    def shared(self) -> bool:
        return self.share.lower() == "true"


NAMES = tuple(str(field.alias) for field in Mode.model_fields.values())


def mode() -> Mode:
    """What the environment says.

    Raises:
        ValueError: a variable means nothing; which, what it holds, and what it may.
    """
    return _read(tuple((name, os.environ[name]) for name in NAMES if os.environ.get(name)))


@lru_cache(maxsize=4)
def _read(variables: tuple[tuple[str, str], ...]) -> Mode:
    try:
        found = Mode.model_validate(dict(variables))
    except ValidationError as error:
        raise ValueError("\n".join(_sentence(one) for one in error.errors())) from None
    if 0 < len(found.operator_key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(
            f"CDVFT_OPERATOR_KEY: give at least {SHORTEST_KEY} characters, so that nobody guesses it."
        )
    for proxy in found.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError:
            raise ValueError(
                f"CDVFT_TRUSTED_PROXIES: got {proxy!r}; give addresses or networks with commas, such as "
                "127.0.0.1, 10.0.0.0/8."
            ) from None
    return found


def _sentence(error: Any) -> str:
    return f"{error['loc'][0]}: got {str(error['input'])[:40]!r}. {error['msg']}."


def _loopback(name: str) -> bool:
    if name in LOOPBACK:
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
