"""Object stores on loopback, for what reads and writes lakes there: an S3 and a Google storage."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import fsspec
import pytest
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from tests.stand import free_port

STORES = ("s3", "gs")


@contextlib.contextmanager
def s3_server(port: int) -> Iterator[None]:
    """Serve S3 on loopback; what servers of one process store outlives them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield
    finally:
        server.stop()


def new_bucket(port: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an empty bucket of a running server that boto3, fsspec and pyarrow will find."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return boto3.resource("s3").create_bucket(Bucket=f"lakes-{uuid.uuid4().hex}")


@contextlib.contextmanager
def _google(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an empty bucket of Google's kind, and return its name."""
    port, name = free_port(), f"lakes-{uuid.uuid4().hex}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    # Asks for a bucket's layout, which the emulator has no answer to.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    with create_server("127.0.0.1", port, in_memory=True, default_bucket=name):
        yield name


@contextlib.contextmanager
def empty_store(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an empty store and return its address, such as gs://lakes-0f.

    Args:
        kind: one of `STORES`.
        monkeypatch: sets where it is, for this process and those it starts.
    """
    # fsspec keeps the file systems of earlier addresses.
    files = fsspec.get_filesystem_class(kind)
    files.clear_instance_cache()
    if kind == "s3":
        port = free_port()
        with s3_server(port):
            yield f"s3://{new_bucket(port, monkeypatch).name}"
    else:
        with _google(monkeypatch) as name:
            yield f"gs://{name}"
    files.clear_instance_cache()
