"""What whoever runs this sets in the environment: one table of names, ranges, defaults and help.

python -m cdvft_app.settings.environment     # the same as a table for the docs
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cdvft_app.methods import InvalidChoice

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",)}
"""By their names the packages of which one must be installed."""
MIN_KEY_LENGTH = 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Before a Space only the hub's proxies are there. They append the address of who asked to X-Forwarded-For.
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)  # fmt: skip


def _parts(text: object) -> object:
    """ "a, b" as ("a", "b")."""
    return tuple(part for one in text.split(",") if (part := one.strip())) if isinstance(text, str) else text


Parts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]


def _networks(found: tuple[str, ...]) -> tuple[str, ...]:
    for proxy in found:
        try:
            ip_network(proxy)
        except ValueError:
            raise ValueError(
                f"{proxy[:40]!r} is none; give addresses or networks, such as 127.0.0.1, 10.0.0.0/8"
            ) from None
    return found


def _long_enough(key: SecretStr) -> SecretStr:
    if 0 < len(key.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"give at least {MIN_KEY_LENGTH} characters, so that nobody guesses it")
    return key


def _installed(trackers: tuple[str, ...]) -> tuple[str, ...]:
    for one in trackers:
        if one not in TRACKERS:
            raise ValueError(f"it is {' or '.join(TRACKERS)}, or both with a comma")
        if not any(map(find_spec, TRACKERS[one])):
            raise ValueError(f"{one} is not installed here; run `pip install {one}`, or unset it")
    return trackers


def _cluster(address: str) -> str:
    if address and address != "auto" and not re.fullmatch(r"(ray://)?[^\s/:]+:\d{1,5}", address):
        raise ValueError("it is ray://host:10001, host:6379 or auto")
    return address


Resources = Annotated[tuple[tuple[str, Amount], ...], NoDecode]


def _resources(text: object) -> object:
    """ "a100=1, lab=0.5" as (("a100", 1.0), ("lab", 0.5))."""
    if not isinstance(text, str):
        return text
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        raise ValueError("it is name=amount, several with commas")
    return tuple((name.strip(), amount) for name, _, amount in pairs)


def _folder(path: Path | None) -> Path | None:
    return path and path.expanduser().resolve()


Folder = Annotated[Path | None, AfterValidator(_folder)]


class Environment(BaseSettings):
    """Each field is the environment variable in its alias; an empty one is as if it were not set.

    The server is public if CDVFT_PUBLIC says so; with `auto`, if it is a Space, is bound to an address that
    others reach, or is shared by a link.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    runs_dir: Folder = Field(
        None, alias="RUNS_DIR", description="holds all state; not set: a folder in the user's cache"
    )
    cache: Folder = Field(
        None,
        alias="CDVFT_CACHE",
        description="prepared models and data; not set: a folder in the user's cache",
    )
    kept: Folder = Field(
        None,
        alias="CDVFT_KEPT",
        description="takes copies of ended runs, which a restart brings back where RUNS_DIR is lost",
    )
    workers: Count | None = Field(
        None, alias="CDVFT_WORKERS", description="runs that train at a time; not set: 1, in slices 16"
    )
    cluster: Annotated[str, AfterValidator(_cluster)] = Field(
        "",
        alias="CDVFT_CLUSTER",
        description="ray://host:10001, host:port or auto: runs train on the nodes of this Ray cluster",
    )
    run_gpus: Amount | None = Field(
        None,
        alias="CDVFT_RUN_GPUS",
        description="GPUs that a run on a cluster asks for, such as 0.5; not set: 1 where there are any",
    )
    run_cpus: Amount = Field(
        1, alias="CDVFT_RUN_CPUS", description="processors that a run on a cluster asks for"
    )
    run_resources: Annotated[Resources, BeforeValidator(_resources)] = Field(
        (),
        alias="CDVFT_RUN_RESOURCES",
        description="the cluster's own resources that a run asks for: a100=1, lab=0.5",
    )
    max_run_seconds: Count | None = Field(
        None, alias="CDVFT_MAX_RUN_SECONDS", description="how long one run may take; not set: no limit"
    )
    max_queued: Count = Field(50, alias="CDVFT_MAX_QUEUED", description="runs of races that may wait")
    max_queued_per_owner: Count = Field(
        12, alias="CDVFT_MAX_QUEUED_PER_OWNER", description="runs of races of one owner that may wait"
    )
    max_sweep_runs: Count = Field(
        96, alias="CDVFT_MAX_SWEEP_RUNS", description="runs of sweeps that may wait"
    )
    slice_seconds: Count = Field(
        15, alias="CDVFT_SLICE_SECONDS", description="seconds of training in a slice, on ZeroGPU"
    )
    report_to: Annotated[Parts, AfterValidator(_installed)] = Field(
        (),
        alias="CDVFT_REPORT_TO",
        description="tensorboard, trackio, or both with a comma: they get losses too",
    )
    logins: Folder = Field(
        None,
        alias="CDVFT_LOGINS",
        description="a file of lines name:password, mode 600: who may open the page",
    )
    log: Literal["text", "json"] = Field(
        "text", alias="CDVFT_LOG", description="json: the log is an object a line, for programs"
    )
    public_setting: Literal["auto", "1", "0"] = Field(
        "auto",
        alias="CDVFT_PUBLIC",
        description="whether the server is public; auto: on a Space, beyond loopback, or shared by a link",
    )
    budget_seconds: Amount = Field(
        1800, alias="CDVFT_BUDGET_SECONDS", description="seconds of this machine that a visitor may take"
    )
    budget_hours: Amount = Field(
        24, alias="CDVFT_BUDGET_HOURS", description="hours in which a visitor may take them"
    )
    codes: Parts = Field(
        (),
        alias="CDVFT_CODES",
        description="codes to give out, with commas; programs send one as the header X-CDVFT-Code",
    )
    trusted_proxies: Annotated[Parts, AfterValidator(_networks)] = Field(
        (),
        alias="CDVFT_TRUSTED_PROXIES",
        description="addresses and networks, with commas, whose word on a visitor's address counts; not set: "
        "nobody's, on a Space that of private networks",
    )
    hosts: Parts = Field(
        (),
        alias="CDVFT_HOSTS",
        description="further names that the server answers to, with commas; *: any",
    )
    operator_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""),
        alias="CDVFT_OPERATOR_KEY",
        description=f"bearer token for /metrics, {MIN_KEY_LENGTH} characters or more",
    )
    serve_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""),
        alias="CDVFT_SERVE_KEY",
        description=f"what requests to `serve` must bring, {MIN_KEY_LENGTH} characters or more; needed where "
        "others reach it",
    )
    upload_bytes: Count = Field(
        500_000_000,
        alias="CDVFT_UPLOAD_BYTES",
        description="of all uploads, files to download and rows of visitors' own data",
    )
    upload_hours: Amount = Field(
        1,
        alias="CDVFT_UPLOAD_HOURS",
        description="hours that an upload is kept, and rows after their last use",
    )
    bound_to: str = Field(
        "127.0.0.1", alias="GRADIO_SERVER_NAME", description="the address that the page is served on"
    )
    share: str = Field("", alias="GRADIO_SHARE", description="True: shared by a link of Gradio's")
    space: str = Field("", alias="SPACE_ID", description="set by the hub on a Space")
    space_hosts: Parts = Field((), alias="SPACE_HOST", description="set by the hub on a Space")
    oauth_secret: SecretStr = Field(
        SecretStr(""), alias="OAUTH_CLIENT_SECRET", description="set by the hub on a Space with hf_oauth"
    )

    @property
    def public(self) -> bool:
        if self.public_setting != "auto":
            return self.public_setting == "1"
        return bool(self.space) or self.shared or not _loopback(self.bound_to)

    @property
    def proxies(self) -> str:
        """The addresses trusted to say where a request comes from, as uvicorn's FORWARDED_ALLOW_IPS.

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


SECRETS = {field.alias for field in Environment.model_fields.values() if isinstance(field.default, SecretStr)}
NAMES = tuple(str(field.alias) for field in Environment.model_fields.values())
_KEYS = tuple(map(os.environ.encodekey, NAMES))


def environment() -> Environment:
    """Return the settings that the environment's variables have now.

    Raises:
        InvalidChoice: a variable means nothing; which, what it holds, and what it may.
    """
    # As os.environ holds them: its own `get` decodes, which takes 25 µs, ten times in every request.
    return _read(tuple(map(os.environ._data.get, _KEYS)))  # type: ignore[attr-defined]


def cache_folder() -> Path:
    """Return the folder for what can be made again: CDVFT_CACHE, else `cdvft` in the user's cache folder."""
    return environment().cache or _users_cache()


def runs_folder() -> Path:
    """Return the folder of the history, runs and uploaded datasets: RUNS_DIR, else one in the user's
    cache."""
    return environment().runs_dir or (_users_cache() / "runs").resolve()


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cdvft"


def data_folder() -> Path:
    """Return the folder of uploaded datasets' rows, each in a folder named by the SHA-256 of its file."""
    return runs_folder() / "data"


@lru_cache(maxsize=4)
def _read(values: tuple[object, ...]) -> Environment:
    try:
        return Environment.model_validate({})
    except ValidationError as error:
        raise InvalidChoice("\n".join(_sentence(one) for one in error.errors())) from None


def table() -> Iterator[str]:
    """Yield the variables as Markdown."""
    yield "| variable | what | default |"
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
