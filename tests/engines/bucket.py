"""A bucket full of usage records on an S3 of its own, and what `config-backup report` makes of it: what SQL is compared with.

Both live in a temporary folder and end with the `with` block. The S3 is crates/embedded-aws, unless a test brings another.
"""

import base64
import contextlib
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


def corpus():
    """The golden corpus (tests/golden): one object of the bucket each."""
    lines = subprocess.run([sys.executable, "-B", PROJECT / "tests/golden/corpus.py", SEED], check=True, capture_output=True).stdout
    return [{**thing, "body": base64.b64decode(thing["body"])} for thing in map(json.loads, lines.decode().splitlines())]


def file_of(key):
    """Where embedded-aws keeps the object with this key (crates/embedded-aws/src/key_paths.rs)."""
    pieces = []
    for segment in key.split("/"):
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


def fill(data, objects):
    """Writes objects as embedded-aws keeps them, before it is started."""
    # Folders come first, for a key may also be the folder of another key, and is then set aside.
    for thing in sorted(objects, key=lambda thing: -file_of(thing["key"]).count("/")):
        name = file_of(thing["key"])
        name += "%" if (data / NAME / name).is_dir() else ""
        body, meta = data / NAME / name, data / ".meta" / NAME / name
        for place in (body, meta):
            place.parent.mkdir(parents=True, exist_ok=True)
        body.write_bytes(thing["body"])
        os.utime(body, (thing["modified"], thing["modified"]))
        meta.write_text('{"metadata":{}}', encoding="ascii")


class Bucket:
    """The bucket: its endpoint, and the report of it."""

    def __init__(self, folder, endpoint):
        self.folder, self.endpoint = folder, endpoint

    def run(self, *arguments):
        """What the helper prints."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        return subprocess.run([TARGET / "debug/config-backup", *arguments], check=True, capture_output=True, env=environment).stdout

    def report(self, *arguments):
        """The rows of a report, with exact values."""
        return json.loads(self.run("report", "--no-cache", "--format", "json", *arguments))

    def objects(self, prefix):
        """The objects below a folder."""
        root = self.folder / "s3" / NAME
        files = [file for file in sorted((root / prefix).rglob("*")) if file.is_file()]
        return [{"key": key_of(str(file.relative_to(root))), "modified": int(file.stat().st_mtime), "body": file.read_bytes()} for file in files]

    def requests(self):
        """What was asked of it so far, a dictionary each (crates/embedded-aws/src/request.rs)."""
        return [json.loads(line) for line in (self.folder / "requests").read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def bucket(objects):
    """A bucket with these objects, served as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="config-backup-sql.") as name:
        folder = pathlib.Path(name)
        (folder / "home").mkdir()
        fill(folder / "s3", objects)
        place = folder / "endpoint"
        command = [TARGET / "debug/embedded-aws", "--data", folder / "s3", "--bucket", NAME, "--endpoint-file", place]
        with open(folder / "server.log", "wb") as log, subprocess.Popen([*command, "--log", folder / "requests"], stdout=log, stderr=log) as server:
            try:
                # The server writes the file once it listens; it ends at once if it cannot.
                while not place.exists():
                    if server.poll() is not None:
                        raise SystemExit((folder / "server.log").read_text())
                    time.sleep(0.05)
                yield Bucket(folder, place.read_text(encoding="ascii").strip())
            finally:
                server.terminate()
