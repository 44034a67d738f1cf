"""An S3 on loopback, for what reads and writes lakes on an object store."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def empty_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serve an empty bucket that boto3, fsspec and pyarrow find by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        # Of its own name: two servers of one process share what they store.
        yield boto3.resource("s3").create_bucket(Bucket=f"lakes-{uuid.uuid4().hex}")
    finally:
        server.stop()
