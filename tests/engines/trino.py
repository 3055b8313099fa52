"""sql/trino_tables.sql and sql/trino_views.sql in a real Trino, on the golden corpus and on what was made by hand, with a metastore of files.

Run by tests/engines/run.sh. Trino is that of .tools/trino, and it wants Java 24 or later: that of JAVA_HOME, of PATH or below /usr/lib/jvm.
"""

import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import bucket
import claims
import duckdb
import story

HOME = bucket.PROJECT / ".tools/trino"
MARK = b"\xef\xbb\xbf"
JAVA = 24

# A record with a byte 1 behind it, which ends a field of a text file.
ENDED = story.stored(story.record("ended", 1))
ENDED["body"] = ENDED["body"].rstrip(b"\n") + b"\x01 and more\n"


def java():
    """A Java that is new enough."""
    homes = [os.environ.get("JAVA_HOME"), *sorted(glob.glob("/usr/lib/jvm/*"), reverse=True)]
    found = [f"{home}/bin/java" for home in homes if home] + [shutil.which("java")]
    for program in found:
        if program and os.access(program, os.X_OK):
            said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
            version = re.search(r'version "(\d+)', said)
            if version and int(version[1]) >= JAVA:
                return program
    raise SystemExit(f"trino.py: no Java {JAVA} or later in JAVA_HOME, PATH or /usr/lib/jvm; install a JDK, or set JAVA_HOME to one")


def free_port():
    """A port on which no program listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# What takes the fewest CPU seconds where each query runs once: no second compiler, which took 60 of 240, a garbage collector of one
# thread with room to be called seldom, one pipeline for a query, and fewer talks of the coordinator with itself about its splits.
FRUGAL_JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmn1400M", "-XX:-UsePerfData"]
FRUGAL_TRINO = {
    "task.concurrency": 1, "task.info-update-interval": "10s", "node-scheduler.max-splits-per-node": 2000,
    "node-scheduler.min-pending-splits-per-task": 500,
}


class Trino:
    """A Trino with one catalog, `hive`, that reads S3 as served, and a heap of so many gigabytes, half of it for a query."""

    def __init__(self, folder, served, gigabytes=2, frugal=False):
        self.gigabytes = gigabytes
        self.frugal = frugal
        self.port = free_port()
        self.folder = folder
        self.server = None
        self.write("etc/config.properties", {
            "coordinator": "true", "node-scheduler.include-coordinator": "true", "http-server.http.port": self.port,
            "discovery.uri": f"http://127.0.0.1:{self.port}", "query.max-memory": f"{gigabytes * 512}MB",
            "query.max-memory-per-node": f"{gigabytes * 512}MB", **(FRUGAL_TRINO if frugal else {}),
        })
        self.write("etc/node.properties", {
            "node.environment": "test", "node.id": "one", "node.data-dir": folder / "data", "node.internal-address": "127.0.0.1",
            "node.bind-ip": "127.0.0.1",
        })
        self.write("etc/catalog/hive.properties", {
            "connector.name": "hive", "hive.metastore": "file", "hive.metastore.catalog.dir": "local:///metastore",
            "fs.native-local.enabled": "true", "local.location": folder, "fs.native-s3.enabled": "true", "s3.endpoint": served.endpoint,
            "s3.region": "us-east-1", "s3.path-style-access": "true", "s3.aws-access-key": bucket.ACCESS_KEY,
            "s3.aws-secret-key": bucket.SECRET_KEY, "hive.recursive-directories": "true",
        })
        (folder / "metastore").mkdir()

    def write(self, name, properties):
        """Writes a file of properties."""
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")

    def command(self):
        """What starts it."""
        return [
            java(), f"-Xmx{self.gigabytes}G", *(FRUGAL_JAVA if self.frugal else ["-XX:+UseG1GC"]), "-XX:+ExitOnOutOfMemoryError", "-Djdk.attach.allowAttachSelf=true",
            "--enable-native-access=ALL-UNNAMED", "--add-modules=jdk.incubator.vector", "-Dconfig=etc/config.properties",
            f"-Dplugin.dir={HOME}/plugin", "-Dnode.environment=test", "-Dnode.id=one", f"-Dnode.data-dir={self.folder}/data",
            "-cp", f"{HOME}/lib/*", "io.trino.server.TrinoServer",
        ]

    def request(self, place, body=None, schema="usage"):
        """An answer, read as JSON."""
        headers = {"X-Trino-User": "test", "X-Trino-Catalog": "hive", "X-Trino-Schema": schema}
        place = place if place.startswith("http") else f"http://127.0.0.1:{self.port}{place}"
        with urllib.request.urlopen(urllib.request.Request(place, body, headers)) as answer:
            return json.load(answer)

    def wait(self, server):
        """Returns once it takes queries."""
        while True:
            if server.poll() is not None:
                raise SystemExit((self.folder / "log").read_text(encoding="utf-8")[-4000:])
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if not self.request("/v1/info")["starting"]:
                    return
            time.sleep(0.2)

    def ask(self, query, schema="usage"):
        """The rows of a query, a dictionary each; counts, decimals to Trino, as integers."""
        until = time.monotonic() + 60
        while True:
            answer = self.request("/v1/statement", query.encode(), schema)
            names, table = [], []
            while True:
                names = [column["name"] for column in answer.get("columns", [])] or names
                table += answer.get("data", [])
                if "nextUri" not in answer:
                    break
                answer = self.request(answer["nextUri"], schema=schema)
            error = answer.get("error")
            if error is None:
                break
            # It takes queries before it knows itself for a node that can work on them.
            if error["errorName"] != "NO_NODES_AVAILABLE" or time.monotonic() > until:
                raise RuntimeError(json.dumps(error))
            time.sleep(0.2)
        found = [dict(zip(names, row)) for row in table]
        for row in found:
            if "additional_users_count" in row:
                row["additional_users_count"] = int(row["additional_users_count"])
        return found

    def cpu(self):
        """The CPU seconds that it took so far; nothing where there is no /proc."""
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def memory(self):
        """The most bytes that it had in memory so far; nothing where there is no /proc."""
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii")
            return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
        return 0

    def set_up(self, schema, location="usage-logs/", name=bucket.NAME):
        """Runs sql/trino_tables.sql and sql/trino_views.sql, statement by statement, in a schema of its own, for a place of a bucket."""
        self.ask(f"CREATE SCHEMA {schema}", schema)
        files = ("sql/trino_tables.sql", "sql/trino_views.sql")
        text = "".join((bucket.PROJECT / file).read_text(encoding="utf-8") for file in files)
        text = text.replace("mongodb-arena/usage-logs/", f"{name}/{location}")
        text = text.replace("mongodb-arena/usage-logs-archive/", f"{name}/{location.replace('usage-logs/', 'usage-logs-archive/')}")
        for statement in re.split(r";$", text, flags=re.MULTILINE):
            if statement.strip():
                self.ask(statement, schema)


@contextlib.contextmanager
def trino(served, gigabytes=2, frugal=False):
    """A Trino as long as the block lasts; `frugal` for tests, and not for measurements."""
    with tempfile.TemporaryDirectory(prefix="config-backup-trino.") as name:
        folder = pathlib.Path(name)
        engine = Trino(folder, served, gigabytes, frugal)
        with open(folder / "log", "wb") as log, subprocess.Popen(engine.command(), cwd=folder, stdout=log, stderr=log) as server:
            try:
                engine.server = server
                engine.wait(server)
                yield engine
            finally:
                server.kill()


def is_hidden(key):
    """Whether Hive takes an object for a file that is not to be read."""
    return any(part[:1] in ("_", ".") for part in key.split("/")[1:])


def as_read(thing):
    """An object as Trino reads it, where that is not what is there."""
    body = thing["body"]
    body = body.removeprefix(MARK) if body.startswith(MARK + MARK) else body
    return {**thing, "body": body.split(b"\x01")[0]}


# Of the whole script: one S3 with a bucket for each class, and one Trino, which takes long to start.
OBJECTS = []
BUCKETS = {}
ENGINES = []


def setUpModule():  # noqa: N802 # the name that unittest looks for
    """Fills the buckets, and starts both."""
    OBJECTS.extend(bucket.corpus() + story.OBJECTS + [ENDED])
    few = duckdb.few() + [ENDED]
    contents = {f"few-{state}": objects for state, objects in duckdb.states(few).items()}
    contents["as-written"] = OBJECTS
    # What Trino must say of the records.
    for name, objects in (("as-read", OBJECTS), ("few-as-read", few)):
        contents[name] = [as_read(thing) for thing in objects if not is_hidden(thing["key"])]
    contents["limits"] = [{**story.OBJECTS[0], "key": "usage-logs/bell\x07/2026-10-01_120000.json"}, *story.OBJECTS, *story.ODD_OBJECTS]
    BUCKETS.update(claims.enter(bucket.buckets(contents)))
    ENGINES.append(claims.enter(trino(BUCKETS["as-written"], frugal=True)))


class InTrino(claims.Claims):
    """On the records of a bucket: what docs/sql.md names is read otherwise, and nothing else."""

    @classmethod
    def serve(cls, name, few, expected):
        """Makes the tables of a bucket, and of one with few objects for the stories."""
        cls.served, cls.expected, [cls.engine] = BUCKETS[name], BUCKETS[expected], ENGINES
        cls.schema, cls.few_schema = (f"{cls.__name__}_{kind}".lower() for kind in ("all", "few"))
        cls.engine.set_up(cls.schema, name=name)
        cls.engine.set_up(cls.few_schema, name=few)

    def ask(self, query):
        return self.engine.ask(query, self.schema)

    def ask_few(self, query):
        return self.engine.ask(query, self.few_schema)


class AsWritten(InTrino, unittest.TestCase):
    """The golden corpus, without an archive."""

    @classmethod
    def setUpClass(cls):
        cls.serve("as-written", "few-as-written", "as-read")

    def test_what_is_read_otherwise_is_there_to_be_seen(self):
        shown, expected = (claims.rows(served.report("--all"), claims.ALL) for served in (self.served, self.expected))
        hidden = [thing for thing in OBJECTS if is_hidden(thing["key"])]
        otherwise = [thing for thing in OBJECTS if as_read(thing) != thing and not is_hidden(thing["key"])]
        self.assertGreater(len(hidden), 10)
        self.assertGreater(len(set(shown) - set(expected)), 10)
        # What else has a byte 1 in it is no record either way.
        gained = [thing for thing in otherwise if thing is ENDED or thing["body"].startswith(MARK + MARK)]
        self.assertGreater(len(gained), 1)
        self.assertEqual(len(set(expected) - set(shown)), len(gained), "each gives a row that report has not")

    def test_deployments_has_the_rows_of_report_all(self):
        before = len(self.served.requests())
        super().test_deployments_has_the_rows_of_report_all()
        # Two more for the archive, of which nothing is there.
        claims.asked_once(self, self.served.requests()[before:], OBJECTS, more=2)

    def test_of_one_customer_alone_nothing_else_is_fetched(self):
        self.engine.set_up("airbnb", "usage-logs/airbnb/", "as-written")
        before = len(self.served.requests())
        table = self.engine.ask('SELECT * FROM usage_daily ORDER BY "timestamp", "user"', "airbnb")
        asked = {request["key"].split("/")[1] for request in self.served.requests()[before:] if request["operation"] == "GetObject"}
        self.assertEqual(asked, {"airbnb"})
        self.assertEqual(claims.rows(table, claims.DAILY), claims.rows(self.served.report("airbnb"), claims.DAILY))


class OfFew(InTrino):
    """A twentieth of the corpus, because Trino takes milliseconds for each object; DuckDB reads all of it in these states."""

    least_rows = (300, 400)


class Archived(OfFew, unittest.TestCase):
    """A bucket once its months are archived: each record counts once."""

    @classmethod
    def setUpClass(cls):
        cls.serve("few-archived", "few-archived", "few-as-read")


class OwnObjectsGone(OfFew, unittest.TestCase):
    """The same, once a rule of the bucket has taken the own objects of what is archived away: less is asked for."""

    @classmethod
    def setUpClass(cls):
        cls.serve("few-own-objects-gone", "few-own-objects-gone", "few-as-read")

    def test_what_is_archived_is_not_asked_for(self):
        before = len(self.served.requests())
        self.ask("SELECT count(*) AS n, count(DISTINCT customer) AS m FROM deployments")
        self.assertLess(len(self.served.requests()) - before, len(BUCKETS["few-as-written"].objects("usage-logs")) / 3)


class Limits(unittest.TestCase):
    """What docs/sql.md says that Trino cannot do."""

    @classmethod
    def setUpClass(cls):
        cls.served, [cls.engine] = BUCKETS["limits"], ENGINES

    def test_a_control_character_in_a_key_fails_what_lists_it(self):
        with self.assertRaisesRegex(RuntimeError, "Could not parse XML response"):
            self.engine.set_up("all_keys", name="limits")
        self.engine.set_up("one", "usage-logs/story-whole/", "limits")
        self.assertEqual(self.engine.ask("SELECT count(*) AS n FROM deployments", "one"), [{"n": 4}])

    def test_of_odd_records_these_alone_are_read_otherwise(self):
        self.engine.set_up("odd", "usage-logs/odd/", "limits")
        table = self.engine.ask("SELECT * FROM deployments", "odd")
        expected = {"beyond-a-double", "beyond-a-double-elsewhere", "git-as-a-list"}
        self.assertEqual(claims.otherwise(table, self.served.report("--all", "odd")), expected)

    def test_the_rows_can_be_kept_in_a_table(self):
        self.engine.set_up("kept", "usage-logs/story-whole/", "limits")
        self.engine.ask("CREATE TABLE kept WITH (format = 'PARQUET') AS SELECT * FROM usage_daily", "kept")
        self.assertEqual(self.engine.ask("SELECT count(*) AS n FROM kept", "kept"), [{"n": 4}])


if __name__ == "__main__":
    if not HOME.is_dir():
        sys.exit("trino.py: no Trino in .tools; run tools/install trino")
    claims.main()
