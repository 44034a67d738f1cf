"""The demo's server shows files over open connections and fails as the truth says it will."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.demo.server import serving
from tasks.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("www")
    for name in ("pictures/1.jpg", "flaky/2.jpg", "flaky/3.jpg", "slow/5.jpg", "index.html"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(name.encode() * 7)
    (root.parent / "secret.txt").write_text("not ours to show")
    return root


@pytest.fixture
def client(folder: Path) -> Iterator[http.client.HTTPConnection]:
    with serving(folder, 0) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        yield connection
        connection.close()


def get(client: http.client.HTTPConnection, path: str) -> tuple[int, dict[str, str], bytes]:
    client.request("GET", path)
    answer = client.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_a_file_is_served_with_its_type_and_length(client: http.client.HTTPConnection) -> None:
    status, headers, body = get(client, "/pictures/1.jpg?size=2")
    assert (status, body) == (200, b"pictures/1.jpg" * 7)
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Length"] == "98"
    assert get(client, "/")[2] == b"index.html" * 7


def test_many_requests_use_one_connection(client: http.client.HTTPConnection) -> None:
    get(client, "/pictures/1.jpg")
    first = client.sock
    assert get(client, "/nothing.jpg")[0] == 404
    assert get(client, "/pictures/1.jpg")[0] == 200
    assert client.sock is first


def test_a_dead_link_is_404(client: http.client.HTTPConnection) -> None:
    assert get(client, "/pictures/gone.jpg")[0] == 404
    assert get(client, "/pictures")[0] == 404


def test_head_has_the_length_and_no_body(client: http.client.HTTPConnection) -> None:
    client.request("HEAD", "/pictures/1.jpg")
    answer = client.getresponse()
    assert (answer.status, answer.getheader("Content-Length"), answer.read()) == (200, "98", b"")


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/pictures/../../secret.txt"]
)
def test_nothing_outside_the_folder_is_shown(client: http.client.HTTPConnection, path: str) -> None:
    assert get(client, path)[0] == 404


def test_a_flaky_path_refuses_once_and_then_serves(client: http.client.HTTPConnection) -> None:
    status, headers, _ = get(client, "/flaky/2.jpg")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert get(client, "/flaky/2.jpg")[2] == b"flaky/2.jpg" * 7
    assert get(client, "/flaky/3.jpg")[0] == 503


def test_a_moved_path_redirects_to_where_the_picture_is(client: http.client.HTTPConnection) -> None:
    status, headers, _ = get(client, "/moved/1.jpg")
    assert (status, headers["Location"]) == (302, "/pictures/1.jpg")


def test_a_slow_path_takes_its_time_and_arrives_whole(client: http.client.HTTPConnection) -> None:
    started = time.monotonic()
    assert get(client, "/slow/5.jpg")[2] == b"slow/5.jpg" * 7
    assert time.monotonic() - started > 0.7


def test_a_stalled_path_keeps_sending_and_never_ends(folder: Path) -> None:
    with serving(folder, 0) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET /stalled/1.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 2:
                received += connection.recv(4096)
        assert b"Content-Length: 1048576" in received


def test_leaving_stops_the_server_and_its_stalled_visitors(folder: Path) -> None:
    before = threading.active_count()
    with serving(folder, 0) as url:
        host, port = url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(b"GET /stalled/1.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(10)
    connection.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=5)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_taken_port_is_one_line_that_names_it(folder: Path) -> None:
    with serving(folder, 0) as url:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(InputError) as refusal, serving(folder, port):
            pass
    assert str(refusal.value) == (
        f"port {port} of 127.0.0.1 is taken by another program; stop it, or serve the site on "
        "another"
    )


def test_a_port_can_be_used_again_at_once(folder: Path) -> None:
    with serving(folder, 0) as url:
        port = int(url.rsplit(":", 1)[1])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        get(client, "/pictures/1.jpg")
    client.close()
    with serving(folder, port) as again:
        assert again == url


def test_a_missing_folder_is_said_before_any_port_is_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no site in"), serving(tmp_path / "none", 0):
        pass
