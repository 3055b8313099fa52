"""The programs that the clients talk to, on loopback, in a folder of their own; ended and removed at the end."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from clients import ACCESS_KEY, BUCKET, HERE, RELEASE, SECRET_KEY
from signing import Signer

TOOL = RELEASE / "report-bench"
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def folder():
    """A folder in memory where the system has one, so that no disk is measured."""
    memory = pathlib.Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30 else None
    with tempfile.TemporaryDirectory(prefix="config-backup-bench.", dir=place) as path:
        yield pathlib.Path(path)


class Program:
    """A server that prints its endpoint."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            raise SystemExit(f"bench: {command[0]} did not start")
        self.host = self.endpoint.removeprefix("http://")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu(self):
        """Its CPU seconds so far; nothing where there is no /proc."""
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / TICKS
        return 0.0


def line(upstream, round_trip_ms):
    return Program(TOOL, "slow-line", "--upstream", upstream.host, "--round-trip-ms", round_trip_ms)


class Bucket:
    """embedded-aws with `count` records, and a hundred more of the last day that come and go."""

    def __init__(self, place, count, until):
        self.place = place
        data = place / "s3"
        self._write(count, 400, until - 86_400, data / BUCKET, "--meta", data / ".meta" / BUCKET)
        self._write(100, 1, until, place / "more")
        self.more = {str(path.relative_to(place / "more")): path.read_bytes() for path in (place / "more").rglob("*.json")}
        self.keys = sorted(str(path.relative_to(data / BUCKET)) for path in (data / BUCKET).rglob("*.json"))
        self.log = place / "log"
        self.server = Program(RELEASE / "embedded-aws", "--data", data, "--bucket", BUCKET, "--log", self.log)
        self.bytes = sum(path.stat().st_size for path in (data / BUCKET).rglob("*.json"))

    @staticmethod
    def _write(count, days, until, into, *rest):
        choice = ["--count", str(count), "--days", str(days), "--until", str(until)]
        subprocess.run([TOOL, "records", *choice, "--into", into, *rest], check=True)

    def send_more(self, method):
        """Puts the hundred records, or deletes them."""
        signer = Signer(self.server.host, ACCESS_KEY, SECRET_KEY)
        connection = http.client.HTTPConnection(self.server.host)
        for key, body in self.more.items():
            connection.request(method, signer.target(method, BUCKET, key), body if method == "PUT" else None)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise SystemExit(f"bench: {method} {key}: {answer.status}")
        connection.close()

    def requests(self):
        """How many requests there were so far."""
        return self.log.stat().st_size

    def operations(self, since):
        """Those since then, by operation."""
        with self.log.open("rb") as log:
            log.seek(since)
            names = [json.loads(line)["operation"] for line in log]
        return {name: names.count(name) for name in sorted(set(names))}

    def targets(self, host):
        """A file with a signed address for each record."""
        signer = Signer(host, ACCESS_KEY, SECRET_KEY)
        path = self.place / "targets"
        path.write_text("".join(f"{signer.target('GET', BUCKET, key)}\n" for key in self.keys))
        return path


def floor(server, connections, targets):
    """The seconds that the bare client takes."""
    command = [TOOL, "floor", "--server", server.host, "--connections", str(connections), "--targets", targets]
    return float(subprocess.check_output(command, text=True).split()[0])


def round_trip(server):
    """What a request and its answer take on a connection that stands, in milliseconds: the median of 20."""
    connection = http.client.HTTPConnection(server.host)
    times = []
    for _ in range(21):
        start = time.perf_counter()
        connection.request("GET", "/")
        connection.getresponse().read()
        times.append(time.perf_counter() - start)
    connection.close()
    return sorted(times[1:])[10] * 1000


def measure(command, environment):
    """Runs a command for `sh -ec`; see measure.py."""
    read, write = os.pipe()
    with os.fdopen(read) as result:
        runner = [sys.executable, "-I", "-S", str(HERE / "measure.py"), "/bin/sh", "-ec", command]
        # Descriptor 3 is the runner's, whatever number the pipe got here.
        shell = ["/bin/sh", "-c", f'exec "$@" 3>&{write}', "sh", *runner]
        process = subprocess.Popen(shell, env=environment, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        os.close(write)
        _, messages = process.communicate()
        text = result.read()
    measured = json.loads(text) if text else {"code": process.returncode}
    if measured["code"] != 0:
        raise SystemExit(f"bench: `{command}` ended with {measured['code']}:\n{messages[-2000:]}")
    return measured


def machine():
    """Cores, model and memory, as the system says."""
    model, memory = "an unknown processor", ""
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        model = found.group(1) if found else model
        total = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
        memory = f", {total / (1 << 20):.0f} GiB"
    return f"{os.cpu_count()} cores ({model}){memory}"


# Each of 512 connections through the line takes two descriptors.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if most == resource.RLIM_INFINITY else min(4096, most), most))
# An interrupt ends what was started, too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
