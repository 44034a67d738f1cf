"""WARC and WAT files made by hand, byte by byte as ISO 28500 writes them."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def record(url: str, block: bytes, kind: str = "response", **headers: str) -> bytes:
    """One record; names of headers have _ for -."""
    lines = {
        "WARC-Type": kind,
        "WARC-Record-ID": "<urn:uuid:00000000-0000-0000-0000-000000000007>",
        "WARC-Date": "2026-01-02T03:04:05Z",
        "WARC-Target-URI": url,
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return b"WARC/1.0\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"


def answer(
    body: bytes, content_type: str, status: str = "200 OK", more: Sequence[str] = ()
) -> bytes:
    """An HTTP answer; `more` are lines of its head."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def page(url: str, html: str) -> bytes:
    """A record of a page."""
    return record(url, answer(html.encode(), "text/html; charset=utf-8"))


def picture(url: str, body: bytes, content_type: str = "image/png") -> bytes:
    """A record of a picture."""
    return record(url, answer(body, content_type, more=[f"Content-Length: {len(body)}"]))


def links(url: str, html: Mapping[str, object], headers: Mapping[str, str] | None = None) -> bytes:
    """A WAT's record of a page."""
    answered = {"Headers": dict(headers or {}), "HTML-Metadata": html}
    envelope = {
        "WARC-Header-Metadata": {"WARC-Target-URI": url, "WARC-Type": "response"},
        "Payload-Metadata": {"HTTP-Response-Metadata": answered},
    }
    block = json.dumps({"Envelope": envelope}).encode()
    return record(url, block, "metadata", Content_Type="application/json")


def write_archive(path: Path, records: Sequence[bytes]) -> str:
    """Write records, each compressed by itself where the name ends in .gz."""
    packed = map(gzip.compress, records) if path.name.endswith(".gz") else records
    path.write_bytes(b"".join(packed))
    return str(path)
