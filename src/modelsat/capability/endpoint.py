"""A candidate's endpoint in a zoo: a base URL and where its key is kept, never the key."""

from urllib.parse import unquote, urlsplit

from modelsat.errors import DataError
from modelsat.types import Candidate

UNIX = "http+unix"


def check_endpoint(candidate: Candidate) -> None:
    """Refuse an endpoint that cannot be called, or that would put a secret into the zoo file.

    Raises:
        DataError: The endpoint is not a base URL, holds a password, or has two places for its key.
    """
    owner = f"candidate {candidate.name}"
    if candidate.api_key_env is not None and candidate.api_key_file is not None:
        raise DataError(f"{owner}: has both api_key_env and api_key_file; keep one of them.")
    if candidate.endpoint is None:
        return
    try:
        parts = urlsplit(candidate.endpoint)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # The socket's path stands where a host would, with %2F for each slash.
        valid |= parts.scheme == UNIX and unquote(parts.netloc).startswith("/")
    except ValueError:
        valid = False
    # An address that may hold a password is not repeated.
    if "@" in candidate.endpoint:
        raise DataError(
            f"{owner}: its endpoint holds a user or password; remove them and name api_key_env or api_key_file."
        )
    if not valid or "?" in candidate.endpoint or "#" in candidate.endpoint:
        raise DataError(
            f"{owner}: endpoint is {candidate.endpoint!r}; expected a base URL such as https://llm.example/v1, "
            "without ? and #."
        )
