"""What is compared: for each client the command that writes the rows of `report` to a file, and how it is set up."""

import dataclasses
import os
import pathlib
import re
import shlex
import subprocess

ACCESS_KEY, SECRET_KEY = "AKIADEMOJOHN00000000", "demo-secret-john"
BUCKET = "mongodb-arena"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".tools/bench"
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

# What makes rows of a folder of records.
JQ = f"find $DIR/records -name '*.json' -exec cat {{}} + | jq -rn -f {shlex.quote(str(HERE / 'rows.jq'))} >$DIR/rows.csv"
AWS_CONFIG = """[default]
region = us-east-1
s3 =
    max_concurrent_requests = 64
    max_queue_size = 10000
"""


@dataclasses.dataclass
class Client:
    """A command for `sh -ec`; it finds $ENDPOINT, $HOST and a $DIR of its own, which it has from run to run."""

    name: str
    command: str
    # Whether a second run finds what the first one left.
    keeps: bool = True
    slow: bool = False


def report():
    """Our own command."""
    return f"AWS_ENDPOINT_URL_S3=$ENDPOINT XDG_CACHE_HOME=$DIR/cache {shlex.quote(str(RELEASE / 'config-backup'))} report -o $DIR/rows.csv"


def compact():
    """Our own command that archives; it says what it wrote."""
    return f"AWS_ENDPOINT_URL_S3=$ENDPOINT {shlex.quote(str(RELEASE / 'config-backup'))} compact >$DIR/written"


def clients():
    """All of them, ours first."""
    ours = report()
    tools = shlex.quote(str(TOOLS))
    python = f"PYTHONPATH={tools} python3"
    extension = next((TOOLS / "duckdb_extension_httpfs").rglob("httpfs.duckdb_extension"))
    remote = f":s3,provider=Other,env_auth,region=us-east-1,endpoint='$ENDPOINT':{BUCKET}/usage-logs"
    return [
        Client("config-backup report", ours),
        Client("config-backup report --no-cache", f"{ours} --no-cache", keeps=False),
        Client(
            "s5cmd sync + jq",
            f"{tools}/s5cmd/bin/s5cmd --endpoint-url $ENDPOINT --numworkers 256 --log error sync --size-only"
            f" 's3://{BUCKET}/usage-logs/*' $DIR/records/; {JQ}",
        ),
        Client(
            "rclone copy + jq",
            f'{tools}/bin/rclone --config /dev/null --log-level ERROR copy "{remote}" $DIR/records --transfers 128 --checkers 128'
            f" --fast-list --s3-no-check-bucket --s3-no-head-object --use-server-modtime --size-only --max-backlog 100000; {JQ}",
        ),
        Client(
            "aws s3 sync + jq",
            f"{python} {tools}/bin/aws --endpoint-url $ENDPOINT s3 sync --only-show-errors --size-only"
            f" s3://{BUCKET}/usage-logs $DIR/records; {JQ}",
            slow=True,
        ),
        Client(
            "DuckDB",
            f"{python} {shlex.quote(str(HERE / 'duck.py'))} {shlex.quote(str(extension))} $HOST {BUCKET} $DIR/rows.csv",
            keeps=False,
        ),
    ]


def environment(home):
    """Nothing of the user's own configuration is used."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PYENV_ROOT", "PYENV_VERSION") if name in os.environ}
    aws = home / ".aws"
    aws.mkdir(parents=True)
    (aws / "config").write_text(AWS_CONFIG)
    credentials = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    return kept | credentials | {"HOME": str(home), "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


def versions():
    """The version of each program that takes part, by name."""
    commands = {
        "config-backup": [RELEASE / "config-backup", "--version"],
        "s5cmd": [TOOLS / "s5cmd/bin/s5cmd", "version"],
        "rclone": [TOOLS / "bin/rclone", "--config", "/dev/null", "version"],
        "aws": ["python3", TOOLS / "bin/aws", "--version"],
        "DuckDB": ["python3", "-c", "import duckdb; print(duckdb.__version__)"],
        "jq": ["jq", "--version"],
    }
    return asked(commands, os.environ | {"PYTHONPATH": str(TOOLS)})


def asked(commands, environment):
    """The version that each command prints, by name."""
    said = {name: subprocess.check_output(command, env=environment, text=True) for name, command in commands.items()}
    return {name: re.search(r"\d+\.\d+(\.\d+)?", text).group() for name, text in said.items()}
