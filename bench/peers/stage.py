"""What every run stands on: a folder of its own, processes that are ended by their id and by
nothing else, free ports, and what the kernel says of a process and of its connections."""

import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A figure that may not be printed, and why."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Progress:
    """One line on a terminal, rewritten; elsewhere a line every ten seconds."""

    def __init__(self):
        self.is_terminal = sys.stderr.isatty()
        self.next = time.monotonic()
        self.what = ""

    def begin(self, what):
        self.what = what
        if self.is_terminal:
            self.show("")
        else:
            print(f"{what} ...", file=sys.stderr, flush=True)
            self.next = time.monotonic() + 10

    def show(self, state):
        now = time.monotonic()
        if self.is_terminal and now >= self.next:
            print(f"\r\033[K{self.what}  {state}", end="", file=sys.stderr, flush=True)
            self.next = now + 0.1
        elif not self.is_terminal and now >= self.next:
            print(f"  {state}", file=sys.stderr, flush=True)
            self.next = now + 10

    def clear(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self.next = 0


class Stage:
    """A folder and the processes that were started in it; both are gone when it is left."""

    def __init__(self, root, programs, progress):
        self.root = root
        self.programs = programs
        self.progress = progress
        self.processes = []
        self.folder = None
        self.runtime = None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pitbox-peers-", dir=self.root))
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.runtime:
            shutil.rmtree(self.runtime, ignore_errors=True)

    def make_folder(self, name):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def make_runtime(self):
        """On tmpfs, where there is one: for what must outlive a process and not a boot."""
        for root in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm", self.folder):
            if root and os.access(root, os.W_OK):
                self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="pitbox-peers-", dir=root))
                return self.runtime
        raise Refused("no folder for the rings")

    def write(self, name, text):
        file = self.folder / name
        file.write_text(text)
        return file

    def start(self, name, *command, **options):
        process = Process(self.folder / f"{name}.log", [str(word) for word in command], options)
        self.processes.append(process)
        return process

    def others_user_s(self):
        """User time of everything on the machine that this run did not start, since the boot. Time
        in the kernel is left out: it writes to the disk on our behalf, too."""
        words = pathlib.Path("/proc/stat").read_text().split(maxsplit=3)
        ours = sum(resource.getrusage(who).ru_utime
                   for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ours += sum(process.user_s() for process in self.processes if process.is_running())
        return (int(words[1]) + int(words[2])) / os.sysconf("SC_CLK_TCK") - ours

    def wait_for(self, what, condition, patience_s=10.0, every_s=0.005):
        until = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > until:
                raise Refused(f"{what}: not within {patience_s:.0f} s")
            time.sleep(every_s)


class Process:
    def __init__(self, log, command, options):
        self.log = log
        self.name = log.stem
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=output, start_new_session=True,
                                          preexec_fn=die_with_parent, **options)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def kill(self):
        if self.is_running():
            self.popen.kill()
        self.popen.wait()

    def stop(self, patience_s=20.0):
        """SIGTERM, and the exit code; one that does not end by then is no clean stop."""
        if self.is_running():
            self.popen.terminate()
        return self.wait(patience_s)

    def wait(self, patience_s):
        try:
            return self.popen.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Refused(f"{self.name} did not end within {patience_s:.0f} s") from None

    def last_words(self):
        text = self.log.read_text(errors="replace").strip()
        return text[-400:] if text else "it said nothing"

    def times(self):
        """utime and stime of all its threads, to 10 ms."""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        words = stat[stat.rindex(")") + 1:].split()
        return [int(word) / os.sysconf("SC_CLK_TCK") for word in words[11:13]]

    def processor_s(self):
        return sum(self.times())

    def user_s(self):
        return self.times()[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def link_bytes(pid, port):
    """Of the process's connections to that port: their own ports, and the payload bytes of TCP both
    ways, what was sent again left out."""
    answer = subprocess.run(["ss", "-tinpH", "state", "established", f"dport = :{port}"],
                            check=True, capture_output=True, text=True).stdout
    ports, total = [], 0
    lines = answer.splitlines()
    for head, facts in zip(lines[::2], lines[1::2]):
        if f"pid={pid}," not in head:
            continue
        found = dict(re.findall(r"(bytes_\w+):(\d+)", facts))
        sent = int(found.get("bytes_sent", 0)) - int(found.get("bytes_retrans", 0))
        total += sent + int(found.get("bytes_received", 0))
        ports.append(re.search(r"127\.0\.0\.1:(\d+)", head).group(1))
    return sorted(ports), total


def disk_write_ms(folder):
    """4 KiB appended and made durable, 200 times: p50 and p99."""
    times = []
    file = folder / "probe"
    with open(file, "wb", buffering=0) as out:
        for _ in range(200):
            began = time.monotonic()
            out.write(b"x" * 4096)
            os.fdatasync(out.fileno())
            times.append((time.monotonic() - began) * 1000)
    file.unlink()
    times.sort()
    return {"p50": times[100], "p99": times[198]}
