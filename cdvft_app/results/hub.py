"""Push exported folders to the Hugging Face Hub, and fetch them. Tokens are never stored."""

from __future__ import annotations

import re
from pathlib import Path

from cdvft_app.catalog.entries import HUB_ID
from cdvft_app.catalog.hub import endpoint, is_offline
from cdvft_app.results.finished_run import ResultsError

TOKEN = re.compile(r"[\x21-\x7e]{1,400}")
MESSAGE = "Upload what CDVFT Studio trained"


def push(folder: Path, repository: str, token: str, private: bool, existing: bool = True) -> str:
    """Upload the folder's files as one commit; the repository is made where there is none.

    Args:
        folder: what to upload, whole.
        repository: owner/name.
        token: with the right to write there.
        private: of a repository that is made; one that is there stays as it is.
        existing: whether it may be there already; files of the same names are then replaced.

    Returns:
        The repository's address.

    Raises:
        ResultsError: why nothing was uploaded, and what to do.
    """
    check(repository, token)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    hub = HfApi(endpoint=endpoint(), token=token)
    try:
        made = hub.create_repo(repository, private=private, exist_ok=existing)
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message=MESSAGE)
    # Nothing of the request may follow an error to wherever it is written: it carries the token.
    except HFValidationError:
        raise ResultsError(f"Repository: the hub takes no name like {repository[:80]!r}.") from None
    except HfHubHTTPError as error:
        raise ResultsError(refusal(repository, error.response.status_code)) from None
    except (HTTPError, OSError):
        raise ResultsError(
            "The hub cannot be reached from here, so nothing was published. What was trained is still kept; "
            "try again later."
        ) from None
    return str(made)


FETCHED = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
NOT_FETCHED = "{repository} cannot be fetched from the Hub: {error} Check the name, or pass a local folder."


def fetch(repository: str) -> Path:
    """Return the local copy of an exported folder on the Hub; no code and no pickled weights are fetched.

    Raises:
        ResultsError: It cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    try:
        return Path(snapshot_download(repository, endpoint=endpoint(), allow_patterns=FETCHED))
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        why = str(error).partition("\n")[0][:200].rstrip(".") + "."
        raise ResultsError(NOT_FETCHED.format(repository=repository, error=why)) from None


def check(repository: str, token: str) -> None:
    """Refuse what cannot be pushed to, before anything is asked or made.

    Raises:
        ResultsError: what is wrong with it, or that the hub is not to be asked.
    """
    if not HUB_ID.fullmatch(repository) or len(repository) > 96 or ".." in repository:
        raise ResultsError(f"Repository: got {repository[:80]!r}; it must look like owner/name.")
    if not TOKEN.fullmatch(token):
        raise ResultsError("This cannot be a token of the hub; copy it again from its settings.")
    if is_offline():
        raise ResultsError("HF_HUB_OFFLINE is set, so nothing is sent to the hub. Unset it and try again.")


def refusal(repository: str, status: int) -> str:
    owner = repository.partition("/")[0]
    if status == 401:
        return "The hub does not know this token, so nothing was published. Make a new one in its settings."
    if status == 403:
        return (
            f"This token may not write to {repository}, so nothing was published. It needs the role “write”, "
            f"and its owner must be {owner} or belong to it."
        )
    if status == 409:
        return (
            f"{repository} is there already, so nothing was published. Choose another name, or say that its "
            "files may be replaced."
        )
    if status == 429:
        return "The hub asks for a pause after many uploads. Try again in some minutes."
    return f"The hub refused {repository} (it answered {status}), so nothing was published. Try again later."
