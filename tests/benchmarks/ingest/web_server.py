"""A web of many hosts on loopback: the corpus over http and https, faster than anyone reads it.

A host is an address of 127.0.0.0/8, so that limits a host bite as they do on the web. Two
processes share the listening sockets; a connection is a thread that blocks in the kernel, which
costs less than an event loop when bodies are large and headers are read whole.
"""

import contextlib
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import trustme

HOSTS = tuple(f"127.0.0.{last}" for last in range(1, 65))
PROCESSES = 2
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
ROBOTS = b"User-agent: *\nDisallow: /private/\nCrawl-delay: 0\n"
IDLE_S = 60.0
LONGEST_HEAD = 16 << 10


@dataclass(frozen=True, kw_only=True)
class Web:
    """The running servers.

    Attributes:
        ports: by scheme; the same on every host.
        pids: of the server processes, whose CPU is nobody's.
    """

    ports: dict[str, int]
    pids: tuple[int, ...]


def certify(folder: Path, trusted: Path) -> None:
    """Make a certificate for all hosts and add its authority to a copy of `trusted`, once.

    The bundle has all that the public one has: reading that is what a TLS context costs.
    """
    if (folder / "bundle.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(*HOSTS)
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    bundle = trusted.read_bytes() + authority.cert_pem.bytes()
    (folder / "bundle.part").write_bytes(bundle)
    (folder / "bundle.part").rename(folder / "bundle.pem")


@contextlib.contextmanager
def serving(pictures: Path, certificates: Path) -> Iterator[Web]:
    """Serve a folder's files on every host until the block ends."""
    plain, secure = _listening(), _listening()
    context = get_context("spawn")
    workers: list[BaseProcess] = [
        context.Process(target=_serve, args=(plain, secure, pictures, certificates), daemon=True)
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    ports = {"http": plain[0].getsockname()[1], "https": secure[0].getsockname()[1]}
    try:
        yield Web(ports=ports, pids=tuple(worker.pid or 0 for worker in workers))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        for listening in (*plain, *secure):
            listening.close()


def _listening() -> list[socket.socket]:
    """Return a socket a host, all on one port."""
    while True:
        sockets = [socket.create_server((HOSTS[0], 0), backlog=1024)]
        port = sockets[0].getsockname()[1]
        try:
            sockets += [socket.create_server((host, port), backlog=1024) for host in HOSTS[1:]]
        except OSError:  # another program has this port on one of the addresses
            for opened in sockets:
                opened.close()
            continue
        for opened in sockets:
            opened.setblocking(False)  # both processes wake for one connection; one gets it
        return sockets


def _serve(
    plain: list[socket.socket], secure: list[socket.socket], pictures: Path, certificates: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem")
    sys.setswitchinterval(0.0005)  # threads hold the interpreter for microseconds only
    with selectors.DefaultSelector() as selector:
        for listening in plain:
            selector.register(listening, selectors.EVENT_READ, None)
        for listening in secure:
            selector.register(listening, selectors.EVENT_READ, context)
        while True:
            for key, _ in selector.select():
                with contextlib.suppress(BlockingIOError):
                    connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    arguments = (connection, key.data, pictures)
                    threading.Thread(target=_answer_all, args=arguments, daemon=True).start()


def _answer_all(connection: socket.socket, context: ssl.SSLContext | None, pictures: Path) -> None:
    """Answer a connection's requests until either side has had enough."""
    connection.settimeout(IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError), connection:
        if context is None:
            _answer_requests(connection, pictures)
        else:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                _answer_requests(encrypted, pictures)


def _answer_requests(connection: socket.socket, pictures: Path) -> None:
    head = b""
    while len(head) < LONGEST_HEAD:
        received = connection.recv(LONGEST_HEAD)
        if not received:
            return
        head += received
        while b"\r\n\r\n" in head:
            asked, _, head = head.partition(b"\r\n\r\n")
            _answer(connection, asked.split(b" ", 2)[1].decode(), pictures)
            if b"\nconnection: close" in asked.lower():
                return


def _answer(connection: socket.socket, path: str, pictures: Path) -> None:
    file = pictures / path.rpartition("/")[2]
    if path == "/robots.txt":
        status, kind, body = "200 OK", "text/plain", ROBOTS
    elif file.suffix in TYPES and file.exists():
        status, kind, body = "200 OK", TYPES[file.suffix], file.read_bytes()
    else:
        status, kind, body = "404 Not Found", "text/plain", b"not here\n"
    headers = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(headers.encode() + body)
