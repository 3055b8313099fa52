"""Records of three customers with a story each, made by hand, and what the views must say of it.

Each engine's test puts them into the bucket of the golden corpus, whose records are in no chain.
"""

import hashlib
import json

DAY = 1_790_812_800  # date -u -d 2026-10-01 +%s
CONFIG = "0123456789abcdef0123456789abcdef"


def record(customer, day, number=None, previous="", writer="00000000000000aa", **more):
    """The fields of a record of a day of October 2026."""
    fields = {
        "timestamp": f"2026-10-{day:02}T12:00:00Z", "customer": customer, "user": "arn:aws:iam::123456789012:user/jane.roe",
        "user_id": "AIDA", "account": "123456789012", "config_hash": CONFIG, "additional_users_count": 5, "project_name": "p",
        "cluster_name": "c", "schema": 1, "deployment_id": f"{customer}-{day}", "backup": "uploaded",
        "backup_key": f"terragrunt/{customer}/config-history/2026-10-{day:02}_120000_{CONFIG}.yaml", **more,
    }
    if number is not None:
        fields["chain"] = {"writer": writer, "number": number, "previous": previous}
    return fields


def stored(fields, after=0):
    """The object that holds a record, written so many seconds after the deployment."""
    day = int(fields["timestamp"][8:10])
    return {
        "key": f"usage-logs/{fields['customer']}/2026-10-{day:02}_120000.json",
        "modified": DAY + (day - 1) * 86_400 + 43_200 + after,
        "body": json.dumps(fields, separators=(",", ":")).encode() + b"\n",
    }


def digest(thing):
    """What the next record of a chain says of an object."""
    return hashlib.sha256(thing["body"]).hexdigest()


def whole():
    """A chain as it should be, of two writers; one record was late, one tells of a config that could not be sent."""
    first = stored(record("story-whole", 1, 1))
    second = stored(record("story-whole", 2, 2, digest(first), late=True), after=7200)
    other = stored(record("story-whole", 3, 1, writer="00000000000000bb", backup="spooled", user="arn:aws:iam::123456789012:root"))
    third = stored(record("story-whole", 4, 3, digest(second), config_hash="fedcba98", backup="failed", backup_key=""))
    return [first, second, other, third]


def broken():
    """A chain that lacks its first, its third and its fourth record, and has its sixth twice."""
    second = stored(record("story-broken", 1, 2, "0" * 64))
    fifth = stored(record("story-broken", 2, 5, "0" * 64))
    sixth = stored(record("story-broken", 3, 6, digest(fifth)))
    again = stored(record("story-broken", 4, 6, digest(fifth)))
    return [second, fifth, sixth, again]


def changed():
    """A chain whose second record was edited after the third had been written."""
    first = stored(record("story-changed", 1, 1))
    second = stored(record("story-changed", 2, 2, digest(first)))
    third = stored(record("story-changed", 3, 3, digest(second)))
    second["body"] = second["body"].replace(b"jane.roe", b"john.doe")
    return [first, second, third]


OBJECTS = whole() + broken() + changed()

# customer, writer, what, first and last number, the key that shows it
CHAIN_BREAKS = [
    ("story-broken", "00000000000000aa", "doubled", 6, 6, "usage-logs/story-broken/2026-10-04_120000.json"),
    ("story-broken", "00000000000000aa", "missing", 1, 1, "usage-logs/story-broken/2026-10-01_120000.json"),
    ("story-broken", "00000000000000aa", "missing", 3, 4, "usage-logs/story-broken/2026-10-02_120000.json"),
    ("story-changed", "00000000000000aa", "changed", 2, 2, "usage-logs/story-changed/2026-10-03_120000.json"),
]
# customer, config, first and last day, deployments, users, the newest copy
CONFIG_VERSIONS = [
    ("story-broken", CONFIG, "2026-10-01", "2026-10-04", 4, 1, f"terragrunt/story-broken/config-history/2026-10-04_120000_{CONFIG}.yaml"),
    ("story-changed", CONFIG, "2026-10-01", "2026-10-03", 3, 2, f"terragrunt/story-changed/config-history/2026-10-03_120000_{CONFIG}.yaml"),
    ("story-whole", CONFIG, "2026-10-01", "2026-10-03", 3, 2, f"terragrunt/story-whole/config-history/2026-10-03_120000_{CONFIG}.yaml"),
    ("story-whole", "fedcba98", "2026-10-04", "2026-10-04", 1, 1, ""),
]
# customer, the last day, deployments, spooled, failed, late, missing
GAPS = [
    ("story-broken", "2026-10-04", 4, 0, 0, 0, 3),
    ("story-changed", "2026-10-03", 3, 0, 0, 0, 0),
    ("story-whole", "2026-10-04", 4, 1, 1, 1, 0),
]


def odd_body(name, old="", new=""):
    """A record of the customer `odd`, with something in its text changed."""
    line = json.dumps(record("odd", 1, deployment_id=name), separators=(",", ":"))
    return line.replace(old, new) if old else line


# By deployment id: what no writer of ours writes and the golden corpus has not.
ODD = {
    "twice": odd_body("twice", '"project_name":"p"', '"project_name":"p","project_name":"q"'),
    "beyond-a-double": odd_body("beyond-a-double", '_count":5', '_count":1e400'),
    "beyond-a-double-elsewhere": odd_body("beyond-a-double-elsewhere", '"schema":1', f'"schema":{"9" * 400}'),
    "git-as-a-list": odd_body("git-as-a-list", '"schema":1', '"schema":1,"git":["c","b",true]'),
    "null-of-hive": "\\N\n" + odd_body("null-of-hive"),
    "fraction-as-text": odd_body("fraction-as-text", '"project_name":"p"', '"project_name":1.5'),
    "more-in-git": odd_body("more-in-git", '"schema":1', '"schema":1,"git":{"commit":"c","branch":"b","dirty":true,"more":[1]}'),
    "chain-too-long": odd_body("chain-too-long", '"schema":1', '"chain":{"writer":"w","number":18446744073709551615,"previous":""}'),
    "carriage-return": odd_body("carriage-return", ',"user"', ',\r"user"'),
    "nul-in-text": odd_body("nul-in-text", '"project_name":"p"', '"project_name":"p\\u0000q"'),
    "many-lines": "\n" * 5000 + odd_body("many-lines", ",", ",\n") + "\n" * 5000,
    "escaped-surrogate": odd_body("escaped-surrogate", '"project_name":"p"', '"project_name":"\\\\ud800 \\ud83d\\ude00"'),
    "minus-nothing": odd_body("minus-nothing", '_count":5', '_count":-0'),
    "exponent": odd_body("exponent", '_count":5', '_count":5E0'),
}
ODD_OBJECTS = [{"key": f"usage-logs/odd/{name}.json", "modified": DAY, "body": body.encode()} for name, body in ODD.items()]
