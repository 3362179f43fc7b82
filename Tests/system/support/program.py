"""Programs that print one JSON object a line, such as `nodesctl device --json`."""

import json
import queue
import subprocess
import threading
import time

PATIENCE = 60


class Program:
    """A running program; its standard output is read as it comes."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.lines: list[dict] = []
        self.errors: list[str] = []
        self._queue: queue.Queue[dict | None] = queue.Queue()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def _read_errors(self) -> None:
        self.errors.extend(self.process.stderr)

    def next(self, timeout: float = PATIENCE) -> dict:
        """The next line."""
        try:
            line = self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"nothing came after {self.lines}") from None
        assert line is not None, f"it ended after {self.lines}: {self.errors}"
        self.lines.append(line)
        return line

    def expect(self, event: str, timeout: float = PATIENCE) -> dict:
        """The next line with that `event`."""
        deadline = time.monotonic() + timeout
        while True:
            line = self.next(max(0.001, deadline - time.monotonic()))
            if line["event"] == event:
                return line

    def type(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit status."""
        return self.process.wait(timeout=timeout)

    def stop(self) -> int:
        """Ctrl-C, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(2)
        try:
            return self.wait()
        finally:
            self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(timeout=60)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
