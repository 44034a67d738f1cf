"""Ports on loopback: one that cannot be used is said before anything starts."""

import errno
import socket

from tasks.errors import InputError

LOOPBACK = "127.0.0.1"
LAST = 65535


def require_free(port: int, remedy: str) -> None:
    """Return when a server of ours can listen on the port.

    Args:
        port: on loopback.
        remedy: the command that takes another port.

    Raises:
        InputError: something listens there, or there is no such port.
    """
    if not 1 <= port <= LAST:
        raise InputError(f"{port} is no port; a port is 1 to {LAST}")
    with socket.socket() as probe:
        # As servers do: a port whose last connection has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            raise InputError(
                f"port {port} of {LOOPBACK} {why}; stop what listens there, or choose another: "
                f"{remedy}"
            ) from error
