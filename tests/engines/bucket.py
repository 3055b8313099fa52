"""Buckets full of usage records on an S3 of their own, and what `config-backup report` makes of each: what SQL is compared with.

Both live in a temporary folder and end with the `with` block. The S3 is crates/embedded-aws, unless a test brings another.
"""

import base64
import contextlib
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
NAME = "mongodb-arena"
SEED = "20261124"
ACCESS_KEY, SECRET_KEY = "AKIADEMOJOHN00000000", "demo-secret-john"


@functools.cache
def corpus():
    """The golden corpus (tests/golden): one object of the bucket each."""
    lines = subprocess.run([sys.executable, "-B", PROJECT / "tests/golden/corpus.py", SEED], check=True, capture_output=True).stdout
    return [{**thing, "body": base64.b64decode(thing["body"])} for thing in map(json.loads, lines.decode().splitlines())]


@functools.cache
def file_of(key):
    """Where embedded-aws keeps the object with this key (crates/embedded-aws/src/key_paths.rs)."""
    segments = key.split("/")
    # Most keys are plain, and there are tens of thousands.
    if key.isascii() and key.isprintable() and "%" not in key and all(0 < len(it) <= 200 and it not in (".", "..") for it in segments):
        return key
    pieces = []
    for segment in segments:
        pieces.append("")
        for character in segment:
            shown = character
            if character == "%" or ord(character) < 32 or 127 <= ord(character) < 160:
                shown = "".join(f"%{byte:02X}" for byte in character.encode())
            if len((pieces[-1] + shown).encode()) > 200:
                pieces[-1] += "%+"
                pieces.append("")
            pieces[-1] += shown
        if segment == "":
            pieces[-1] = "%-"
        if pieces[-1] in (".", ".."):
            pieces[-1] = pieces[-1].replace(".", "%2E")
    return "/".join(pieces)


def key_of(file):
    """The key of the object that embedded-aws keeps in a file: the other way round."""
    return re.sub("(?:%[0-9A-F]{2})+", lambda it: bytes.fromhex(it[0].replace("%", "")).decode(), file.replace("%+/", "").replace("%-", ""))


def fill(data, name, objects, written):
    """Writes the objects of a bucket as embedded-aws keeps them, before it is started.

    The same object in another bucket (`written`: its file, by id) is the same file, as are the attributes of all: the server replaces
    files and never changes them, and a link takes a fifth of the time of a file.
    """
    attributes = data.with_name(f"attributes of {name}")
    attributes.write_text('{"metadata":{}}', encoding="ascii")
    folders = set()

    def make_folders(file):
        folder = file.rpartition("/")[0]
        if folder not in folders:
            for root in (data / name, data / ".meta" / name):
                os.makedirs(f"{root}/{folder}", exist_ok=True)
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]

    # Folders come first, for a key may also be the folder of another key, and is then set aside.
    for thing in sorted(objects, key=lambda thing: -file_of(thing["key"]).count("/")):
        file = file_of(thing["key"])
        file += "%" if file in folders else ""
        make_folders(file)
        body = f"{data}/{name}/{file}"
        if id(thing) in written:
            os.link(written[id(thing)], body)
        else:
            with open(body, "wb") as output:
                output.write(thing["body"])
            os.utime(body, (thing["modified"], thing["modified"]))
            written[id(thing)] = body
        os.link(attributes, f"{data}/.meta/{name}/{file}")


class Bucket:
    """A bucket of an S3 that is served from a folder: its endpoint, and the report of it."""

    def __init__(self, folder, endpoint, name):
        self.folder, self.endpoint, self.name = folder, endpoint, name
        self.asked, self.log_read = [], 0
        # A report takes seconds, and `compact`, the only command here that writes, changes none of its rows.
        self.report = functools.cache(self.report)

    def run(self, *arguments):
        """What the helper prints."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "CONFIG_BACKUP_BUCKET": self.name,
        }
        return subprocess.run([TARGET / "debug/config-backup", *arguments], check=True, capture_output=True, env=environment).stdout

    def report(self, *arguments):
        """The rows of a report, with exact values."""
        return json.loads(self.run("report", "--no-cache", "--format", "json", *arguments))

    def objects(self, prefix):
        """The objects below a folder."""
        root = self.folder / "s3" / self.name
        files = [file for file in sorted((root / prefix).rglob("*")) if file.is_file()]
        return [{"key": key_of(str(file.relative_to(root))), "modified": int(file.stat().st_mtime), "body": file.read_bytes()} for file in files]

    def requests(self):
        """What was asked of it so far, a dictionary each (crates/embedded-aws/src/request.rs)."""
        with open(self.folder / "requests", "rb") as log:
            log.seek(self.log_read)
            whole = log.read().rpartition(b"\n")[0]
        # What was read before is not read again.
        self.log_read += len(whole) + 1 if whole else 0
        self.asked += [request for request in map(json.loads, whole.splitlines()) if request["bucket"] == self.name]
        return self.asked[:]


@contextlib.contextmanager
def buckets(contents):
    """Buckets with these objects, a dictionary by name, served by one S3 as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="config-backup-sql.") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "home").mkdir()
        written = {}
        for name, objects in contents.items():
            fill(folder / "s3", name, objects, written)
        place = folder / "endpoint"
        command = [TARGET / "debug/embedded-aws", "--data", folder / "s3", "--endpoint-file", place, "--log", folder / "requests"]
        command += [f"--bucket={name}" for name in contents]
        with open(folder / "server.log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
            try:
                # The server writes the file once it listens; it ends at once if it cannot.
                while not place.exists():
                    if server.poll() is not None:
                        raise SystemExit((folder / "server.log").read_text())
                    time.sleep(0.05)
                endpoint = place.read_text(encoding="ascii").strip()
                yield {name: Bucket(folder, endpoint, name) for name in contents}
            finally:
                server.terminate()


@contextlib.contextmanager
def bucket(objects):
    """One bucket with these objects, the default one of the product."""
    with buckets({NAME: objects}) as served:
        yield served[NAME]
