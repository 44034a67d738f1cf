"""Errors of a store's library become one line; those of anything else stay what they are."""

import aiohttp
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from gcsfs.retry import HttpError
from google.auth.exceptions import DefaultCredentialsError
from google.protobuf.message import DecodeError

from tasks.errors import LakeError
from tasks.reach import openable, store_trouble


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EndpointConnectionError(endpoint_url="http://a:1/b"), 'endpoint URL: "http://a:1/b"'),
        (NoCredentialsError(), "Unable to locate credentials"),
        (HttpError({"code": 503, "message": "back\n\n  soon"}), "back soon, 503"),
        (DefaultCredentialsError("none found"), "none found"),  # type: ignore[no-untyped-call]
        (aiohttp.ServerTimeoutError(), "ServerTimeoutError"),
        (caused(PermissionError("denied"), NoCredentialsError()), "Unable to locate credentials"),
    ],
)
def test_what_a_store_says_is_one_line(error: Exception, said: str) -> None:
    line = store_trouble(error)
    assert line.startswith("the object store cannot be reached or refuses (")
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "error",
    [
        ValueError("ours"),
        PermissionError("a disk's"),
        DecodeError("of some other library of the same house"),
        caused(FileNotFoundError("s3://a/b"), NoCredentialsError()),
    ],
)
def test_what_comes_from_elsewhere_is_not_blamed_on_a_store(error: Exception) -> None:
    assert store_trouble(error) == ""


def test_an_address_is_refused_with_what_would_open_it() -> None:
    wanted = r"^az://a cannot be opened \(Install adlfs.*pip install"
    with pytest.raises(LakeError, match=wanted), openable("az://a"):
        raise ImportError("Install adlfs to access it")
