"""One child process that writes a log, can be stopped in time, and never outlives its parent."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
LOG_KEPT = 10 * 1024 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Process:
    """A program that is to be running.

    The kernel signals it when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), so start it from
    a thread that lives as long as it should.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        log: pathlib.Path,
        *,
        environment: dict[str, str] | None = None,
        popen: dict | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_timeout: float = 20,
    ) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.environment = environment
        self.popen = popen or {}
        self.stop_signal = stop_signal
        self.stop_timeout = stop_timeout
        self.child: subprocess.Popen | None = None
        self.started_at = 0.0
        self.failures = 0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    @property
    def is_running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        assert not self.is_running, f"{self.name} is running already"
        if self.log.exists() and self.log.stat().st_size > LOG_KEPT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                # Ctrl-C goes to us alone: what is stopped, and in which order, is decided here.
                start_new_session=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, self.stop_signal),
                **self.popen,
            )
        self.started_at = time.monotonic()

    def request_stop(self) -> None:
        if self.is_running:
            self.child.send_signal(self.stop_signal)

    def stop(self) -> None:
        """Asks it to stop and waits; after its time is up, ends it."""
        self.request_stop()
        if self.child is not None:
            try:
                self.child.wait(self.stop_timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self.child = None

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.end_orphans()

    def end_orphans(self) -> None:
        """Ends what it started and left: nginx's workers outlive a killed master and keep its port."""
        if self.child is not None and self.child.returncode is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)

    def last_lines(self, count: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


class Supervisor:
    """Starts again what died, waiting longer each time it dies soon."""

    FIRST_PAUSE = 0.5
    LONGEST_PAUSE = 10.0
    HEALTHY_AFTER = 30.0

    def __init__(self, say=print) -> None:
        self.say = say
        self.due: dict[str, float] = {}

    def look(self, processes: list[Process]) -> None:
        now = time.monotonic()
        for process in processes:
            if process.is_running:
                continue
            if process.name not in self.due:
                process.end_orphans()
                lived = now - process.started_at
                process.failures = 1 if lived > self.HEALTHY_AFTER else process.failures + 1
                pause = min(self.FIRST_PAUSE * 2 ** (process.failures - 1), self.LONGEST_PAUSE)
                self.due[process.name] = now + pause
                code = process.child.returncode if process.child else None
                how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
                self.say(f"{process.name} {how}; starting it again in {pause:g} s (its log: {process.log})")
            elif now >= self.due[process.name]:
                del self.due[process.name]
                process.start()
