"""Certificates are checked as browsers check them, with what the process loads once."""

import contextlib
import datetime
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tasks.rows import Outcome
from tests.fetching import BODY, fetched, quick
from tests.web import Answer, web

# A process that trusts other authorities from its start, as a person in a company would have it.
FETCH = """
import json, sys
from tasks.ingestion.fetching.fetch import Fetcher
from tasks.ingestion.loop import run
from tasks.ingestion.settings import Ingestion

async def main(urls):
    how = Ingestion(allow_private_hosts=("127.0.0.1",), timeout_s=2, retries=0)
    async with Fetcher(how) as fetcher:
        return {url: await fetcher.get(url) for url in urls}

found = run(main(sys.argv[1:]))
json.dump({url: (one.outcome, one.message) for url, one in found.items()}, sys.stdout)
"""


def serving(authority: trustme.CA, name: str, days: int = 9) -> ssl.SSLContext:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin = end - datetime.timedelta(days=90)
    authority.issue_cert(name, not_before=begin, not_after=end).configure_cert(context)
    return context


def test_only_a_certificate_that_is_trusted_valid_and_for_this_host_is_taken(
    tmp_path: Path,
) -> None:
    known, unknown = trustme.CA(), trustme.CA()
    known.cert_pem.write_to_path(tmp_path / "ca.pem")
    contexts = {
        "kept": serving(known, "127.0.0.1"),
        "expired": serving(known, "127.0.0.1", days=-1),
        "mismatch": serving(known, "a.org"),
        "unable to get": serving(unknown, "127.0.0.1"),
    }
    with contextlib.ExitStack() as stack:
        page = {"/x": Answer(body=BODY)}
        sites = {
            name: stack.enter_context(web(page, tls=context)).url
            for name, context in contexts.items()
        }
        sites["plain"] = stack.enter_context(web(page)).url.replace("http", "https")
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # never accepts
        sites["silent"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", FETCH, *(f"{url}/x" for url in sites.values())],
            env=os.environ | {"SSL_CERT_FILE": str(tmp_path / "ca.pem")},
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    outcomes = {name: found[f"{url}/x"][0] for name, url in sites.items()}
    reasons = ("expired", "mismatch", "unable to get")
    refused = dict.fromkeys((*reasons, "plain"), "tls")
    assert outcomes == {"kept": "kept", **refused, "silent": "timeout"}
    for reason in reasons:
        assert reason in found[f"{sites[reason]}/x"][1]


def test_certificates_are_loaded_once_for_all_clients_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise AssertionError("40 ms were spent on certificates again")

    monkeypatch.setattr(ssl, "create_default_context", refuse)
    with web({"/x": Answer(body=BODY)}) as site:
        secure = site.url.replace("http", "https")
        for _ in range(3):
            found = fetched([f"{secure}/x", f"{site.url}/x"], quick())
            assert [one.outcome for one in found] == [Outcome.TLS, Outcome.KEPT]
