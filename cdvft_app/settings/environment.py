"""Settings from environment variables: names, ranges, defaults, and help.

python -m cdvft_app.settings.environment     # print them as a Markdown table for the docs
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cdvft_app.methods import InvalidChoice

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
"""Trackers, each with packages of which one must be installed."""
MIN_KEY_LENGTH = 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A Space is only reachable through the Hub's proxies. They append the visitor's address to X-Forwarded-For.
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)  # fmt: skip


def _parts(text: object) -> object:
    """Split "a, b" into ("a", "b")."""
    return tuple(part for one in text.split(",") if (part := one.strip())) if isinstance(text, str) else text


Parts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]


def _networks(found: tuple[str, ...]) -> tuple[str, ...]:
    for proxy in found:
        try:
            ip_network(proxy)
        except ValueError:
            raise ValueError(
                f"{proxy[:40]!r} is not an address or network. Use for example 127.0.0.1, 10.0.0.0/8"
            ) from None
    return found


def _long_enough(key: SecretStr) -> SecretStr:
    if 0 < len(key.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"use at least {MIN_KEY_LENGTH} characters, so that it cannot be guessed")
    return key


def _cluster(address: str) -> str:
    if address and address != "auto" and not re.fullmatch(r"(ray://)?[^\s/:]+:\d{1,5}", address):
        raise ValueError("use ray://host:10001, host:6379, or auto")
    return address


Resources = Annotated[tuple[tuple[str, Amount], ...], NoDecode]


def _resources(text: object) -> object:
    """Split "a100=1, lab=0.5" into (("a100", "1"), ("lab", "0.5"))."""
    if not isinstance(text, str):
        return text
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        raise ValueError("use name=amount, separated by commas")
    return tuple((name.strip(), amount) for name, _, amount in pairs)


def _folder(path: Path | None) -> Path | None:
    return path and path.expanduser().resolve()


Folder = Annotated[Path | None, AfterValidator(_folder)]


class Environment(BaseSettings):
    """Settings of the app. The alias of a field is its environment variable; empty variables are ignored.

    With CDVFT_PUBLIC=auto, a server is public on a Space, on an address that is not loopback, or with a
    share link.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    runs_dir: Folder = Field(
        None,
        alias="RUNS_DIR",
        description="Folder of the history, runs, and uploaded data. Default: a folder in the user's cache.",
    )
    cache: Folder = Field(
        None,
        alias="CDVFT_CACHE",
        description="Folder of prepared models and datasets. Default: a folder in the user's cache.",
    )
    kept: Folder = Field(
        None,
        alias="CDVFT_KEPT",
        description="Folder for copies of ended runs. A start restores them if RUNS_DIR is lost.",
    )
    workers: Count | None = Field(
        None, alias="CDVFT_WORKERS", description="Runs that train at once. Default: 1, or 16 on ZeroGPU."
    )
    cluster: Annotated[str, AfterValidator(_cluster)] = Field(
        "",
        alias="CDVFT_CLUSTER",
        description="Ray cluster that trains the runs: ray://host:10001, host:port, or auto.",
    )
    run_gpus: Amount | None = Field(
        None,
        alias="CDVFT_RUN_GPUS",
        description="GPUs per run on a cluster, such as 0.5. Default: 1 if the cluster has GPUs.",
    )
    run_cpus: Amount = Field(1, alias="CDVFT_RUN_CPUS", description="CPUs per run on a cluster.")
    run_resources: Annotated[Resources, BeforeValidator(_resources)] = Field(
        (),
        alias="CDVFT_RUN_RESOURCES",
        description="Custom Ray resources per run, such as a100=1, lab=0.5.",
    )
    max_run_seconds: Count | None = Field(
        None,
        alias="CDVFT_MAX_RUN_SECONDS",
        description="Maximum duration of a run, in seconds. Default: no limit.",
    )
    max_queued: Count = Field(
        50, alias="CDVFT_MAX_QUEUED", description="Maximum number of queued runs of races."
    )
    max_queued_per_owner: Count = Field(
        12,
        alias="CDVFT_MAX_QUEUED_PER_OWNER",
        description="Maximum number of queued runs of races per owner.",
    )
    max_sweep_runs: Count = Field(
        96, alias="CDVFT_MAX_SWEEP_RUNS", description="Maximum number of queued runs of sweeps."
    )
    slice_seconds: Count = Field(
        15, alias="CDVFT_SLICE_SECONDS", description="Training time per slice on ZeroGPU, in seconds."
    )
    logins: Folder = Field(
        None,
        alias="CDVFT_LOGINS",
        description="File of logins, one name:password per line, with mode 600.",
    )
    log: Literal["text", "json"] = Field(
        "text", alias="CDVFT_LOG", description="Log format: text, or json for one JSON object per line."
    )
    public_setting: Literal["auto", "1", "0"] = Field(
        "auto",
        alias="CDVFT_PUBLIC",
        description="Whether the server is public. auto: on a Space, beyond loopback, or with a share link.",
    )
    budget_seconds: Amount = Field(
        1800, alias="CDVFT_BUDGET_SECONDS", description="Time budget per visitor, in seconds."
    )
    budget_hours: Amount = Field(
        24, alias="CDVFT_BUDGET_HOURS", description="Period of the time budget, in hours."
    )
    codes: Parts = Field(
        (),
        alias="CDVFT_CODES",
        description="Visitor codes, separated by commas. Programs send one in the header X-CDVFT-Code.",
    )
    trusted_proxies: Annotated[Parts, AfterValidator(_networks)] = Field(
        (),
        alias="CDVFT_TRUSTED_PROXIES",
        description="Addresses and networks of proxies that may set a visitor's address. "
        "Default: none; private networks on a Space.",
    )
    hosts: Parts = Field(
        (),
        alias="CDVFT_HOSTS",
        description="Additional host names of the server, separated by commas. *: any.",
    )
    operator_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""),
        alias="CDVFT_OPERATOR_KEY",
        description=f"Bearer token for /metrics, at least {MIN_KEY_LENGTH} characters.",
    )
    serve_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""),
        alias="CDVFT_SERVE_KEY",
        description=f"API key for `serve`, at least {MIN_KEY_LENGTH} characters. "
        "Required if other hosts can reach the server.",
    )
    upload_bytes: Count = Field(
        500_000_000,
        alias="CDVFT_UPLOAD_BYTES",
        description="Total size of uploads, downloads, and uploaded datasets, in bytes.",
    )
    upload_hours: Amount = Field(
        1,
        alias="CDVFT_UPLOAD_HOURS",
        description="Hours until an upload is deleted, and a dataset after its last use.",
    )
    bound_to: str = Field(
        "127.0.0.1", alias="GRADIO_SERVER_NAME", description="Address that the app listens on."
    )
    share: str = Field("", alias="GRADIO_SHARE", description="True: create a Gradio share link.")
    space: str = Field("", alias="SPACE_ID", description="Set by the Hub on a Space.")
    space_hosts: Parts = Field((), alias="SPACE_HOST", description="Set by the Hub on a Space.")
    oauth_secret: SecretStr = Field(
        SecretStr(""), alias="OAUTH_CLIENT_SECRET", description="Set by the Hub on a Space with hf_oauth."
    )

    @property
    def public(self) -> bool:
        if self.public_setting != "auto":
            return self.public_setting == "1"
        return bool(self.space) or self.shared or not _loopback(self.bound_to)

    @property
    def proxies(self) -> str:
        """Trusted proxies, separated by commas, for uvicorn's FORWARDED_ALLOW_IPS.

        uvicorn uses the last address of X-Forwarded-For that is not trusted, because a client can invent the
        earlier ones. An empty value trusts no proxy. Without a value uvicorn would trust loopback.
        """
        return ",".join(self.trusted_proxies or (PRIVATE_NETWORKS if self.space else ()))

    @property
    def hub_accounts(self) -> bool:
        """Whether sessions are signed with the Space's secret, so that clients cannot forge them."""
        return bool(self.space and self.oauth_secret.get_secret_value())

    @property
    def shared(self) -> bool:
        return self.share.lower() == "true"


SECRETS = {field.alias for field in Environment.model_fields.values() if isinstance(field.default, SecretStr)}
NAMES = tuple(str(field.alias) for field in Environment.model_fields.values())
_KEYS = tuple(map(os.environ.encodekey, NAMES))


def environment() -> Environment:
    """Return the settings of the current environment variables.

    Raises:
        InvalidChoice: A variable is invalid. The message names it, its value, and valid values.
    """
    # Read the raw values: decoding in `os.environ.get` takes 25 µs, ten times per request.
    return _read(tuple(map(os.environ._data.get, _KEYS)))  # type: ignore[attr-defined]


def cache_folder() -> Path:
    """Return the folder of reproducible files: CDVFT_CACHE, or `cdvft` in the user's cache folder."""
    return environment().cache or _users_cache()


def runs_folder() -> Path:
    """Return the folder of the history, runs, and uploaded datasets: RUNS_DIR, or one in the user's cache."""
    return environment().runs_dir or (_users_cache() / "runs").resolve()


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cdvft"


def data_folder() -> Path:
    """Return the folder of uploaded datasets. The SHA-256 of a file names its folder."""
    return runs_folder() / "data"


@lru_cache(maxsize=4)
def _read(values: tuple[object, ...]) -> Environment:
    try:
        return Environment.model_validate({})
    except ValidationError as error:
        raise InvalidChoice("\n".join(_sentence(one) for one in error.errors())) from None


def table() -> Iterator[str]:
    """Yield the variables as lines of a Markdown table."""
    yield "| Variable | Description | Default |"
    yield "|---|---|---|"
    for field in Environment.model_fields.values():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "" if default in (None, "", ()) else f"`{default}`"
        yield f"| `{field.alias}` | {field.description} | {shown} |"


def _sentence(error: Any) -> str:
    name = error["loc"][0]
    got = "" if name in SECRETS else f"got {str(error['input'])[:40]!r}. "
    return f"{name}: {got}{error['msg'].removeprefix('Value error, ')}."


def _loopback(name: str) -> bool:
    if name in LOOPBACK:
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    print("\n".join(table()))
