"""A way to PostgreSQL that can be cut between a commit and its answer, so that its outcome is in doubt.

It reads the frontend/backend protocol (PostgreSQL manual, 55.7 "Message Formats") as far as it has to: which statements
a client runs, and when the server says that a transaction has ended.
"""

import contextlib
import dataclasses
import pathlib
import re
import socket
import struct
import tempfile
import threading


SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


@dataclasses.dataclass
class Cut:
    """One answer to a commit that nobody shall hear."""

    statement: re.Pattern
    skip: int
    happened: threading.Event = dataclasses.field(default_factory=threading.Event)

    def wait(self, timeout: float = 60) -> None:
        """Until a commit was carried out and its answer withheld."""
        assert self.happened.wait(timeout), f"no transaction with {self.statement.pattern!r} was committed"


class PostgresProxy:
    """A unix socket in a folder of its own, in front of the server's."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nodes-pg-", dir="/tmp"))
        self.path = self.folder / ".s.PGSQL.5432"
        # Where the server's socket is; known once it has been started.
        self.server = lambda: None
        self._lock = threading.Lock()
        self._cuts: list[Cut] = []
        # What is not let through: connections that LISTEN, or all.
        self._is_deaf = False
        self._is_severed = False
        self._listening: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str, role: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def cut(self, statement: str, *, skip: int = 0) -> Cut:
        """Withholds the answer to the next commit of a transaction with a statement that matches, after `skip` of
        them."""
        cut = Cut(re.compile(statement), skip)
        with self._lock:
            self._cuts.append(cut)
        return cut

    def deafen(self) -> int:
        """Ends the connections that LISTEN, and each that begins to; how many there were."""
        with self._lock:
            self._is_deaf = True
            listening = list(self._listening)
        for each in listening:
            _end(each)
        return len(listening)

    def sever(self) -> int:
        """Ends every connection, and each that is opened; how many there were."""
        with self._lock:
            self._is_severed = True
            opened = list(self._open)
        for each in opened:
            _end(each)
        return len(opened) // 2

    def heal(self) -> None:
        """Lets everything through again."""
        with self._lock:
            self._is_deaf = self._is_severed = False

    def _admits(self, client: socket.socket, statement: str) -> bool:
        if not re.match(r"\s*LISTEN\b", statement, re.I):
            return True
        with self._lock:
            self._listening.add(client)
            return not self._is_deaf

    def close(self) -> None:
        self._listener.close()
        with self._lock:
            opened = list(self._open)
        for each in opened:
            _end(each)
        self.path.unlink(missing_ok=True)
        self.folder.rmdir()

    # Connections.

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._open |= {client, server}
            is_severed = self._is_severed
        try:
            if is_severed:
                return
            server.connect(str(self.server()))
            connection = _Connection(self, client, server)
            if connection.greet():
                back = threading.Thread(target=connection.answers, daemon=True)
                back.start()
                connection.requests()
                back.join()
        except OSError:
            pass
        finally:
            for each in (client, server):
                _end(each)
            with self._lock:
                self._open -= {client, server}
                self._listening.discard(client)

    def _match(self, statement: str) -> Cut | None:
        with self._lock:
            for cut in self._cuts:
                if cut.statement.search(statement):
                    if cut.skip > 0:
                        cut.skip -= 1
                        return None
                    self._cuts.remove(cut)
                    return cut
        return None


class _Connection:
    """One client's connection; requests and answers each have a thread."""

    def __init__(self, proxy: PostgresProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.prepared: dict[bytes, str] = {}
        self.cut: Cut | None = None

    def greet(self) -> bool:
        """Passes what comes before the messages have types; whether a session follows."""
        while True:
            (length,) = struct.unpack("!i", _exactly(self.client, 4))
            rest = _exactly(self.client, length - 4)
            self.server.sendall(struct.pack("!i", length) + rest)
            (code,) = struct.unpack("!i", rest[:4])
            if code == CANCEL_REQUEST:
                # The server closes once it has read it.
                self.server.recv(1)
                return False
            if code not in (SSL_REQUEST, GSS_REQUEST):
                return True
            self.client.sendall(_exactly(self.server, 1))

    def requests(self) -> None:
        with contextlib.suppress(OSError):
            while message := _message(self.client):
                kind, body = message
                statement = self._statement(kind, body)
                if statement is not None and not self.proxy._admits(self.client, statement):
                    break
                if statement is not None and self.cut is None:
                    self.cut = self.proxy._match(statement)
                self.server.sendall(_framed(kind, body))
        _end(self.server)

    def _statement(self, kind: bytes, body: bytes) -> str | None:
        """What this message has the server run."""
        if kind == b"Q":
            return body[:-1].decode(errors="replace")
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self.prepared[name] = text.decode(errors="replace")
        if kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            return self.prepared.get(name)
        return None

    def answers(self) -> None:
        with contextlib.suppress(OSError):
            while message := _message(self.server):
                kind, body = message
                if self.cut and ((kind == b"C" and body == b"COMMIT\0") or (kind == b"Z" and body == b"I")):
                    self.cut.happened.set()
                    break
                self.client.sendall(_framed(kind, body))
        _end(self.client)


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _message(source: socket.socket) -> tuple[bytes, bytes] | None:
    kind = source.recv(1)
    if not kind:
        return None
    (length,) = struct.unpack("!i", _exactly(source, 4))
    return kind, _exactly(source, length - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise ConnectionError("the other side ended in the middle of a message")
        data += more
    return bytes(data)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
