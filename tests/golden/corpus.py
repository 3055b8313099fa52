"""Prints a bucket full of usage records, good ones and hostile ones, for the report to be tried on.

Usage: corpus.py SEED [GOOD=10000] [HOSTILE=220]. One JSON object a line: `key`, `modified` (LastModified, unix seconds),
`body` (base64) and `kind`. The same arguments give the same lines. oracle.py says what a report of them must be.
"""

import base64
import hashlib
import itertools
import json
import random
import sys
import zlib
from datetime import datetime, timedelta, timezone

FIRST_DAY = datetime(2025, 10, 5, tzinfo=timezone.utc)
DAYS = 410
DAY = 86_400
MIB = 1_048_576

PLAIN_CUSTOMERS = [
    "airbnb", "acme", "acme-2", "acme.eu", "Acme", "acme_old", "ACME", "4711", "7", "a", "b", "c.d.e", "x" * 63, "globex", "initech",
    "umbrella", "hooli", "stark", "wayne", "wonka", "soylent", "tyrell", "cyberdyne", "oscorp", "aperture", "blackmesa",
    "massive-dynamic", "nakatomi", "gringotts", "duff", "vandelay", "pied-piper", "dunder-mifflin", "sterling_cooper", "monsters-inc",
    "bluth", "prestige", "zz",
]
# The last ones are too long for a key, at the limit, and beyond it by one byte.
ODD_CUSTOMERS = [
    "Foo Bar", "Zürich AG", "a/b", "../x", "..", "é", "e\u0301", "~", "~20", "株式会社", "O'Neil & Sons", "Smith, Jones", 'The "Big" One',
    "=cmd", "-dash", "+1 Co", "@home", "＝wide", ".hidden", "_under", "%2F", "100% <b>", "🚀 rocket", "x" * 64, "é" * 150, "y" * 399,
    "y" * 400,
]
CUSTOMERS = PLAIN_CUSTOMERS + ODD_CUSTOMERS
GIVEN = ["john", "jane", "mary", "max", "eva", "li", "omar", "anna", "ivan", "zoe", "pat", "kim", "noor"]
FAMILY = ["doe", "roe", "poppins", "power", "novak", "wei"]
# Names that are fit for IAM and for nothing else, and some that no ARN stands around.
ODD_USERS = ["+ops@example.com", "=calc", "@bot", "-x", "O'Brien", "roe, jane", "José", "ci-runner", "DOE", "john.doe@example.com"]
# What tools call a session if the operator does not, and names that are like them and are people's.
TOOL_SESSIONS = [
    "assume-role-from-profile-1632246085998", "assume-role-provider-1632246085998", "web-identity-token-1632246085998",
    "web-identity-token-profile-1632246085998", "botocore-session-1521558860", "AWS-CLI-session-1523566057", "aws-go-sdk-1700000000000000000",
    "aws-sdk-java-1700000000000", "aws-sdk-js-session-1700000000000", "aws-dotnet-sdk-session-636238288466144357", "1700000000000000000",
    "1700000000", "7C9E6679-7425-40DE-944B-E07FC1F90AE7", "N2M5ZTY2NzktNzQyNS00MGRlLTk0NGItZTA3ZmMxZjkwYWU3", "default_session",
    "token-file-web-identity", "web-identity", "temporary-credentials", "terragrunt-1700000000000000000", "assumed-from-leapp",
    "i-0123456789abcdef0", "mi-0123456789abcdef0", "0f9de17a6465404e8b1b2356dc13c2f8", "AWSCodeBuild-146ccba7-69a4-42b1-935b-e5ea50fc7535",
    "eks-prod-runner-5d9f-7c9e6679-7425-40de-944b-e07fc1f90ae7", "GitHubActions", "GitHubActions-9876543210", "GitLabRunner-42-1001", "Jenkins",
    "Jenkins-1700000000000", "Jenkins-deploy-airbnb-17", "buildkite-job-0184990a-477b-4fa8-9968-496074483cee", "build-session", "aws-vsts-tools",
    "terraform-run-CZcmD7eagjhyX0vN", "01GXKZ2Y5J3V8C6T4Q9R7W1N0B@airbnb@acme",
]
CHOSEN_SESSIONS = [
    "123456789", "1984-ann", "a1234567", "x-ray", "i-robot", "deadbeef", "jenkins", "Jenkins-mary", "terragrunt-john", "terragrunt-123456",
    "GitHubActions-john", "eks-john", "xterragrunt-1700000000", "terragrunt-1700000000x", "terragrunt-1700000000000000000000", "terraform-run-é",
    "1700000000\n", "GitLabRunner-42-",
]
ACCOUNTS = ["123456789012", "210987654321", "000000000001"]
PROJECTS = [
    "airbnb-project", "search", "Projekt \"Ö\", Nord", "données, tests", "数据", "a,b", "\"quoted\"", "it's", "🧪 lab", "plain", "",
    "naïve café", "semi;colon", "back\\slash", "<angle> & co", "\u00a0nbsp", "e\u0301clair", "x" * 300,
]
CLUSTERS = [
    "arena-cluster", "eu-west", "=SUM(A1:A9)", "-minus", "+plus", "@at", "＝1+1", "－wide", " =blank", "\u00a0=nbsp", "'=quoted", "a=b",
    "c1", "c2", "",
]
OFFSETS = [-720, -480, -300, -120, -30, 0, 60, 120, 330, 345, 540, 840]

ESC, BELL = "\x1b", "\x07"
CONTROLS = [
    f"{ESC}[31mred{ESC}[0m", f"{ESC}]0;title{BELL}", f"{ESC}]8;;http://x{ESC}\\link", "a\x00b", "\x00", "\u009b31mred", "\u0085next",
    "del\x7f", "\x7f", "a\bb", "\x01\x02\x1f", f"\t={BELL}", f"{BELL}=1", "\ufeff=1", "\x90dcs\x9c",
]
BIDI = [
    "\u202egnp.exe", "a\u200eb", "\u200fab", "\u061cx", "\u2066a\u2069", "\u2067a\u2069", "\u2068a\u2069", "\u202aa\u202c",
    "\u202ba\u202c", "\u202da\u202c", "\u200e=1", "zero\u200bwidth", "join\u200d",
]
LINES = ["a\nb", "a\r\nb", "a\rb", "\n", "a\tb", "\t", "\n=1", "\r=1", "tail\n", "a\vb\fc", "\u2028", "a\u2028b", "a\u2029b", "\u2029=1"]
COMMAS = ["a,b", ",", '"', '""', 'a"b', '","', '"a","b"', "a,\"b\nc\"", "'", "''", ";", "\\\"", ",,,,,,", '"unclosed']
FORMULAS = [
    '=HYPERLINK("http://x","y")', "=1+1", "+1", "-1", "@SUM(1)", "=cmd|' /C calc'!A0", "＝1+1", "＋1", "－1", "＠SUM(1)", " =1", "  +1",
    "\u00a0-1", "\u3000@x", "\u2003＝1", "'=1", "1=1", "=", "-", "\u200b=1", " \t=1",
]
SCRIPT = "<script>alert(1)</script>"

WRONG_TEXTS = [[], {}, True, False, ["x"], {"x": "y"}, [None], {"": []}]


def stamp(at):
    """The time in an object's name."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d_%H%M%S}"


def segment(customer):
    """The path segment that stands for a customer."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    raw = customer.encode()
    if 1 <= len(raw) <= 63 and raw[0] in safe and all(byte in safe + b"._-" for byte in raw):
        return customer
    coded = "~" + "".join(chr(byte) if byte in safe + b"._-" else f"~{byte:02x}" for byte in raw)
    return coded if len(coded) <= 400 else f"~~h{hashlib.sha256(raw).hexdigest()}"


class Deck:
    """Values to draw from, each of them once before any of them again."""

    def __init__(self, rng, values):
        self.rng, self.values, self.left = rng, list(values), []

    def draw(self):
        """The next value."""
        if not self.left:
            self.left = self.rng.sample(self.values, len(self.values))
        return self.left.pop()


class Corpus:
    """The objects of the bucket so far, and what further ones are made from."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.objects, self.taken, self.told = [], set(), []
        self.decks = {}
        self.users = self.people()

    def people(self):
        """The users: for each name the ARNs that it stands for."""
        def assumed(account, role, name):
            return f"arn:aws:sts::{account}:assumed-role/AWSReservedSSO_{role}_{self.rng.getrandbits(64):016x}/{name}"

        users = [[f"arn:aws:iam::{account}:root" for account in ACCOUNTS], ["arn:aws:sts::123456789012:federated-user/Bob"]]
        users += [["nobody"], ["local:me"]]
        for role, start in (("Deployer", 0), ("ci.deploy", 1), ("AWSReservedSSO_Admin_0", 2)):
            users.append([f"arn:aws:sts::123456789012:assumed-role/{role}/{session}" for session in TOOL_SESSIONS[start::3]])
        for name in [f"{given}.{family}" for given in GIVEN for family in FAMILY][:66] + ODD_USERS:
            kind = self.rng.random()
            if kind < 0.5:
                arns = [assumed(ACCOUNTS[0], "Admin", name)]
            elif kind < 0.75:
                arns = [f"arn:aws:iam::{ACCOUNTS[0]}:user/{name}"]
            elif kind < 0.85:
                arns = [f"arn:aws:iam::{ACCOUNTS[0]}:user/team/eu/{name}"]
            else:
                arns = [assumed(account, role, name) for account, role in zip(ACCOUNTS, ["Admin", "ReadOnly", "Ops"])]
                arns.append(f"arn:aws:iam::{ACCOUNTS[1]}:user/{name}")
            users.append(arns)
        return users

    def deck(self, name, values):
        """Draws from the deck of that name, which holds these values."""
        if name not in self.decks:
            self.decks[name] = Deck(self.rng, values)
        return self.decks[name].draw()

    def put(self, kind, key, modified, body):
        """Puts an object into the bucket; False where the key is taken."""
        if key in self.taken:
            return False
        self.taken.add(key)
        self.objects.append({"key": key, "modified": modified, "body": base64.b64encode(body).decode(), "kind": kind})
        return True

    def free_key(self, customer, at):
        """The key for a new record of a customer."""
        key = f"usage-logs/{segment(customer)}/{stamp(at)}.json"
        while key in self.taken:
            key = f"usage-logs/{segment(customer)}/{stamp(at)}-{self.rng.getrandbits(32):08x}.json"
        return key

    # --- good records

    def timestamp(self, at, fraction=""):
        """A time in one of the spellings of RFC 3339."""
        rng = self.rng
        offset = rng.choice(OFFSETS) if rng.random() < 0.2 else None
        if offset is None:
            return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%dT%H:%M:%S}{fraction}Z"
        there = datetime.fromtimestamp(at, timezone(timedelta(minutes=offset)))
        sign = "-" if offset < 0 or (offset == 0 and rng.random() < 0.5) else "+"
        return f"{there:%Y-%m-%dT%H:%M:%S}{fraction}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"

    def moment(self):
        """A second within the days; often one that is on another day elsewhere."""
        rng = self.rng
        second = rng.randrange(DAY)
        if rng.random() < 0.15:
            second = rng.choice([0, 1, DAY - 1, rng.randrange(7200), DAY - 1 - rng.randrange(7200)])
        return int(FIRST_DAY.timestamp()) + rng.randrange(DAYS) * DAY + second

    def record(self, customer, arn, at, fraction=""):
        """The fields of a good record of the present form."""
        rng = self.rng
        config = hashlib.md5(f"{customer}{at // (DAY * rng.choice([3, 30]))}".encode()).hexdigest()
        fields = {
            "timestamp": self.timestamp(at, fraction),
            "customer": customer,
            "user": arn,
            "user_id": f"AROA{rng.getrandbits(64):016X}:x",
            "account": arn.split(":")[4] if arn.count(":") > 4 else "",
            "config_hash": config if rng.random() < 0.95 else "",
            "additional_users_count": rng.choice([0, 1, 5, 5, 5, 12, 250, 100_000]),
            "project_name": rng.choice(PROJECTS),
            "cluster_name": rng.choice(CLUSTERS),
            "schema": 1,
            "deployment_id": f"{datetime.fromtimestamp(at, timezone.utc):%Y%m%dT%H%M%SZ}-{rng.getrandbits(32):08x}",
            "backup": rng.choice(["uploaded", "unchanged", "unchanged", "spooled", "failed"]),
            "backup_key": f"terragrunt/{segment(customer)}/config-history/{stamp(at)}_{config}.yaml",
        }
        if rng.random() < 0.1:
            fields["late"] = True
        if rng.random() < 0.5:
            commit, branch = f"{rng.getrandbits(160):040x}", rng.choice(["main", "", "fix/ö"])
            fields["git"] = {"commit": commit, "branch": branch, "dirty": rng.random() < 0.2}
        if rng.random() < 0.2:
            url = rng.choice(["", "https://ci.example/1?a=b&c=d"])
            fields["ci"] = {"provider": rng.choice(["github", "gitlab", "jenkins"]), "run_url": url}
        if rng.random() < 0.9:
            fields["tools"] = {"config_backup": "0.1.0", "terraform": rng.choice(["OpenTofu v1.12.6", ""]), "terragrunt": "1.1.3"}
        return fields

    def vary_count(self, fields):
        """Spells the count as others may."""
        rng, count = self.rng, fields["additional_users_count"]
        spelling = rng.random()
        if spelling < 0.08:
            fields["additional_users_count"] = str(count)
        elif spelling < 0.10:
            fields["additional_users_count"] = f" {count:03}\t"
        elif spelling < 0.16:
            fields["additional_users_count"] = float(count)
        elif spelling < 0.17:
            fields["additional_users_count"] = rng.choice([None, ""])
        elif spelling < 0.18:
            del fields["additional_users_count"]

    def vary_more(self, fields):
        """Adds what is to be ignored, and takes away what may be missing."""
        rng = self.rng
        if rng.random() < 0.08:
            inner = [1, [2, {"user": "inner"}], {"timestamp": "1970-01-01T00:00:00Z"}]
            fields["region"] = rng.choice(["eu-west-1", None, 1.5e-3, -7, inner])
        if rng.random() < 0.03:
            fields[rng.choice(["", "User", "ünknown", "time\nstamp", "customer "])] = "ignored"
        if rng.random() < 0.03:
            del fields[rng.choice(["project_name", "cluster_name", "config_hash", "schema", "user_id", "backup"])]
        if rng.random() < 0.03:
            fields[rng.choice(["project_name", "cluster_name", "config_hash"])] = None

    def spell(self, fields):
        """The bytes of a record, in one of the spellings of JSON."""
        rng = self.rng
        ascii_only = rng.random() < 0.3
        if rng.random() < 0.1:
            text = json.dumps(fields, ensure_ascii=ascii_only, indent=rng.choice([2, 4, "\t"]))
            if rng.random() < 0.3:
                text = text.replace("\n", "\r\n")
        else:
            text = json.dumps(fields, ensure_ascii=ascii_only, separators=(",", ":"))
        text += rng.choice(["\n", "\n", "\n", "", "\r\n", " \n\n"])
        if rng.random() < 0.03:
            text = text.replace(".0,", "e0,")
        return (b"\xef\xbb\xbf" if rng.random() < 0.03 else b"") + text.encode()

    def put_good(self, groups):
        """One good record: of the present form or of the earlier module's."""
        rng = self.rng
        if self.told and rng.random() < 0.08:
            # One more of the same moment: the number in the chain decides, then LastModified, then the key.
            customer, user, at, fraction, modified = rng.choice(self.told)
            modified += rng.choice([0, 0, 0, 1, -1, 60])
            fraction = fraction and rng.choice([fraction, fraction.ljust(10, "0")])
        else:
            customer, user, day = rng.choice(groups)
            at = day + self.moment() % DAY
            fraction = rng.choice(["", "", "", "", "", "", "", ".5", ".25", ".123", ".000001", ".999999999", ".0"])
            modified = at + rng.choice([0, 0, 1, 1, 2, 5, -1])
            if rng.random() < 0.05:
                modified += rng.randrange(10 * DAY)
        arn = rng.choice(user)
        self.told.append((customer, user, at, fraction, modified))

        fields = self.record(customer, arn, at, fraction)
        if rng.random() < 0.16 and "/" not in customer and customer not in ("~", ".."):
            # A raw `~` would be read as the segment of the empty name.
            earlier = list(fields)[:9]
            if rng.random() < 0.7:
                earlier = sorted(set(earlier) - {"user_id", "account"})
            fields = {name: fields[name] for name in earlier}
            self.vary_count(fields)
            self.vary_time(fields)
            digest = hashlib.md5(rng.randbytes(16)).hexdigest()
            self.put("good-earlier", f"usage-logs/{customer}/{digest}.json", modified, self.spell(fields))
            return
        self.vary_count(fields)
        self.vary_more(fields)
        self.vary_time(fields)
        # Without the generator, so that the corpus of a seed stays the same in all else.
        draw = zlib.crc32(f"{customer} {at} {len(self.objects)}".encode())
        if draw % 3 == 0:
            fields["chain"] = {"writer": f"c{draw:015x}", "number": 1 + draw // 3 % 3, "previous": ""}
        self.put("good", self.free_key(customer, at), modified, self.spell(fields))

    def vary_time(self, fields):
        """Leaves the time to the key, or to LastModified."""
        chance = self.rng.random()
        if chance < 0.02:
            del fields["timestamp"]
        elif chance < 0.05:
            fields["timestamp"] = self.rng.choice([None, "", "  "])

    def put_all_good(self, count):
        """That many good records, several of most days, customers and users."""
        rng = self.rng
        # Fewer than there are records, so that many of these fall together.
        groups = [
            (rng.choice(CUSTOMERS), rng.choice(self.users), int(FIRST_DAY.timestamp()) + rng.randrange(DAYS) * DAY)
            for _ in range(max(1, count * 2 // 5))
        ]
        for _ in range(count):
            self.put_good(groups)

    # --- hostile objects

    def base(self, customer=None):
        """A good record that something is yet to be done to: its fields and time."""
        rng = self.rng
        customer = rng.choice(PLAIN_CUSTOMERS + ODD_CUSTOMERS[:2]) if customer is None else customer
        at = self.moment()
        return self.record(customer, rng.choice(rng.choice(self.users)), at), at

    def give(self, kind, fields, at, body=None, key=None):
        """Puts a hostile record into the bucket, spelled out unless it is given as it is."""
        key = key or self.free_key(fields["customer"], at)
        body = self.spell(fields) if body is None else body
        while not self.put(kind, key, at + self.rng.randrange(3), body):
            key = key.removesuffix(".json") + f"{self.rng.getrandbits(32):08x}.json"

    def put_raw(self, kind, bodies):
        """An object that is no record, under the key of one."""
        fields, at = self.base()
        body = self.deck(kind, bodies)
        self.give(kind, fields, at, body if isinstance(body, bytes) else body.encode())

    def put_changed(self, kind, changes):
        """A record with some fields set to something else, or taken away by `...`."""
        fields, at = self.base()
        for name, value in self.deck(kind, changes).items():
            if value is ...:
                fields.pop(name, None)
            else:
                fields[name] = value
        customer = fields.get("customer")
        if not isinstance(customer, str):
            # An integer may be what the key says, too.
            number = isinstance(customer, int) and self.rng.random() < 0.5
            customer = str(customer) if number else self.rng.choice(PLAIN_CUSTOMERS)
        self.give(kind, fields, at, key=self.free_key(customer, at))

    def put_spliced(self, kind, pieces):
        """A record with a piece of JSON, or of what is none, behind its fields."""
        fields, at = self.base()
        piece = self.deck(kind, pieces)
        # No name twice, for that is another matter.
        rest = {name: value for name, value in fields.items() if not piece.startswith(f'"{name}"')}
        line = json.dumps(rest, separators=(",", ":"))
        self.give(kind, fields, at, f"{line[:-1]},{piece}}}\n".encode())

    def put_texts(self, kind, values):
        """A record whose texts are hostile, its customer's name now and then among them."""
        rng = self.rng
        fields, at = self.base(self.deck(kind, values) if rng.random() < 0.25 else None)
        fields["project_name"] = self.deck(kind, values)
        fields["cluster_name"] = self.deck(kind, values)
        if rng.random() < 0.7:
            fields["user"] = f"arn:aws:sts::123456789012:assumed-role/Admin/{self.deck(kind, values)}"
        if rng.random() < 0.2:
            fields["user"] = self.deck(kind, values)
        if rng.random() < 0.5:
            fields["config_hash"] = self.deck(kind, values)
        self.give(kind, fields, at)

    def put_times(self, kind, values):
        """A record with an odd timestamp."""
        fields, at = self.base()
        day = f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d}"
        value = self.deck(kind, values)
        fields["timestamp"] = value.replace("DAY", day) if isinstance(value, str) else value
        if self.rng.random() < 0.3:
            # Nothing in the key to fall back to: that leaves LastModified.
            digest = hashlib.md5(self.rng.randbytes(16)).hexdigest()
            self.give(kind, fields, at, key=f"usage-logs/{segment(fields['customer'])}/{digest}.json")
        else:
            self.give(kind, fields, at)

    def put_truncated(self, kind):
        """A record that ends too early."""
        fields, at = self.base()
        line = json.dumps(fields, ensure_ascii=False).encode()
        self.give(kind, fields, at, line[: self.rng.randrange(1, len(line))])

    def put_sized(self, kind, size, blanks):
        """A record of exactly so many bytes."""
        fields, at = self.base()
        line = json.dumps(fields, separators=(",", ":")).encode()
        if blanks:
            body = line + b" " * (size - len(line))
        else:
            body = line[:-1] + b',"padding":"' + b"x" * (size - len(line) - 13) + b'"}'
        self.give(kind, fields, at, body)

    def put_nested(self, kind, levels):
        """A record nested so many levels deep, its own braces counted."""
        fields, at = self.base()
        fields.pop("git", None)
        opening, closing, each = self.deck(kind, [("[", "]", 1), ('{"a":', "}", 1), ('[{"a":', "}]", 2)])
        rounds, rest = divmod(levels - 1, each)
        nest = "[" * rest + opening * rounds + "1" + closing * rounds + "]" * rest
        line = json.dumps(fields, separators=(",", ":"))
        # Brackets in strings are no nesting.
        self.give(kind, fields, at, f'{{"note":"[[[{{{{\\"[","git":{nest},{line[1:]}'.encode())

    def put_doubled(self, kind):
        """Two records in one object."""
        fields, at = self.base()
        line = self.spell(fields)
        self.give(kind, fields, at, line + self.deck(kind, [b"", b"\n", b",", b"\x1e"]) + line)

    def put_trailing(self, kind):
        """A record with something behind it."""
        fields, at = self.base()
        tails = [b"x", b"}", b"\0", b",", b"\xef\xbb\xbf", b"\xc2\xa0", b"null", b"// end", b"\v", b"\x1a"]
        self.give(kind, fields, at, json.dumps(fields).encode() + self.deck(kind, tails))

    def put_leading(self, kind):
        """A record with something before it."""
        fields, at = self.base()
        heads = [b"\xef\xbb\xbf\xef\xbb\xbf", b" \xef\xbb\xbf", b")]}',\n", b"\0", b"\xff\xfe", b"\xc2\xa0", b"\x1e"]
        self.give(kind, fields, at, self.deck(kind, heads) + json.dumps(fields).encode())

    def put_recoded(self, kind):
        """A record in another encoding than UTF-8."""
        fields, at = self.base()
        fields["project_name"] = "Zürich"
        encoding = self.deck(kind, ["utf-16", "utf-16-le", "utf-32", "cp500"])
        self.give(kind, fields, at, json.dumps(fields, ensure_ascii=False).encode(encoding, "replace"))

    def put_invalid_utf8(self, kind):
        """A record with bytes that are no UTF-8, in a field that is shown or in one that is ignored."""
        fields, at = self.base()
        name = self.deck(f"{kind}-field", ["project_name", "note", "cluster_name", "customer"])
        bad = self.deck(kind, [b"Z\xfcrich", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff", b"\x80"])
        line = json.dumps(fields | {name: "PLACE"}).encode()
        self.give(kind, fields, at, line.replace(b"PLACE", bad))

    def put_loose(self, kind):
        """What some parsers take for JSON."""
        fields, at = self.base()
        line = json.dumps(fields, separators=(",", ":"))
        loose = self.deck(kind, [
            line[:-1] + ",}", line.replace('"', "'"), "{/* note */" + line[1:], line + " // note", '{user:"x",' + line[1:],
            '{"n":01,' + line[1:], '{"n":+1,' + line[1:], '{"n":1.,' + line[1:], '{"n":.5,' + line[1:], '{"n":0x1F,' + line[1:],
            '{"n":"\t",' + line[1:], '{"n":"a\nb",' + line[1:], '{"n":"\\x41",' + line[1:], '{"n":"\\u12",' + line[1:],
            '{"n":True,' + line[1:], "{," + line[1:], line.replace(":", "=", 1), '{"n":undefined,' + line[1:], '{"n":-,' + line[1:],
            '{"n":1e,' + line[1:], '{"n":"\\u00_1",' + line[1:], '{"n":١,' + line[1:], '{"n":1_000,' + line[1:], "\f" + line,
            '{"n" "m",' + line[1:], '{"n":t,' + line[1:],
        ])
        self.give(kind, fields, at, loose.encode())

    def put_other_customer(self, kind):
        """A record that says another customer than its key."""
        fields, at = self.base()
        said = self.deck(kind, ["somebody-else", "AIRBNB", "airbnb ", "../airbnb", "é", f"{ESC}[2J", "=1", "z" * 500, "airbnb/x", "~41cme"])
        key = self.free_key(self.rng.choice(["airbnb", "acme", "Foo Bar", "é" * 150]), at)
        self.give(kind, fields | {"customer": said}, at, key=key)

    def put_earlier_decodable(self, kind):
        """A record of the earlier module whose raw name looks like an encoded one."""
        name = self.deck(kind, ["~Foo~20Bar", "~", "~.hidden", "~~7e", "~-dash"])
        fields, at = self.base("acme")
        fields = {field: fields[field] for field in list(fields)[:9]} | {"customer": name}
        self.give(kind, fields, at, key=f"usage-logs/{name}/{hashlib.md5(self.rng.randbytes(8)).hexdigest()}.json")

    def put_undecodable(self, kind):
        """A record under a segment that nobody writes."""
        rng = self.rng
        odd = self.deck(kind, [
            "~~2", "~acme", "~~41", "~~2F", "~~zz", "~~+f", "-a", "~a b", "~~ff", "~~ed~a0~80", "~~h" + "0" * 64, "~~h", "~~", "~é",
            "x" * 64,
        ])
        fields, at = self.base()
        fields["customer"] = rng.choice([odd, odd, "acme", "", fields["customer"], None])
        self.give(kind, fields, at, key=f"usage-logs/{odd}/{stamp(at)}.json")

    def put_no_customer(self, kind):
        """A record that does not say its customer, or one whose name is empty."""
        fields, at = self.base()
        key = self.free_key(self.deck(kind, ["airbnb", "Foo Bar", "a/b", "é" * 150, "", ""]), at)
        fields["customer"] = self.rng.choice([None, ""])
        if self.rng.random() < 0.3:
            del fields["customer"]
        self.give(kind, fields, at, key=key)

    def put_odd_key(self, kind):
        """A record under a key with odd characters in it."""
        odd = self.deck(kind, [
            "a b", "a+b", "%2F", "a%20b", "é", "e\u0301", "\x07bell", "tab\there", "line\nbreak", "del\x7f", 'quo"te', "quo'te", "<b>",
            "a&b", "a&amp;b", "back\\slash", "what?", "ha#sh", " lead", "trail ", "=1", "semi;colon", "\u202eabc", "\u2028", "🚀",
            "\x1b[31m", "{x}", "a:b", "*", "株", "..", "$HOME", "`id`",
        ])
        fields, at = self.base()
        fields["customer"] = self.rng.choice([odd, odd, "acme", ""])
        if self.rng.random() < 0.5 and odd != "..":
            self.give(kind, fields, at, key=f"usage-logs/{odd}/{stamp(at)}.json")
        else:
            self.give(kind, fields, at, key=f"usage-logs/{segment(fields['customer'])}/{odd}.json")

    def put_odd_stem(self, kind):
        """A record in whose key the time is odd; most of them have no other."""
        stem = self.deck(kind, [
            "2025-13-30_143052", "2026-02-30_120000", "2026-01-01_240000", "2026-01-01_236000", "2025-10-30_1430521",
            "2025-10-30_143052x", "2025-10-30_143052-", "2025-10-30_143052-0a1b2c3d-1", "2025-10-30_143052-é",
            "2025-10-30_143052.json", "2025-10-30_14305", "2025-10-30T143052Z", "1999-12-31_235959", "2000-01-01_000000",
            "2099-12-31_235959", "2100-01-01_000000", "0000-01-01_000000", "9999-12-31_235959", "２０２５-10-30_143052", "1761834652",
            "2025-10-30_143052é", "2025-10-30é143052", "2024-02-29_000000", "2023-02-29_000000", "20251030_143052-x",
            "2025-10-30_143052 ",
        ])
        fields, at = self.base()
        if self.rng.random() < 0.7:
            fields["timestamp"] = self.rng.choice([None, "", "yesterday"])
        self.give(kind, fields, at, key=f"usage-logs/{segment(fields['customer'])}/{stem}.json")

    def hostile(self):
        """All kinds of hostile objects: name, how one is made, and how many there may be."""
        count = "additional_users_count"

        def set_to(names, values):
            changes = [{name: value} for name in names for value in values]
            return lambda kind: self.put_changed(kind, changes)

        none = [b"", b" ", b"\n", b" \t\r\n ", b"\n" * 1000, b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\xc2\xa0", b"\0\0\0\0", b"\v\f"]
        html = [
            "<!DOCTYPE html>\n<html><body><h1>503</h1></body></html>\n", f"<html>{SCRIPT}</html>",
            '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        ]
        unrelated = [
            "{}", '{"Version":"2012-10-17","Statement":[]}',
            '{"project_name":"x","cluster_name":"y","additional_users_count":5,"schema":1}',
            '{"Timestamp":"2026-01-01T00:00:00Z","User":"x"}', '{"record":{"user":"x","customer":"y"}}', '{"":""}',
            '{"serial":1,"lineage":"x","resources":[]}',
        ]
        bare = [
            '{"user":"arn:aws:iam::123456789012:root"}', '{"customer":"airbnb"}', '{"timestamp":null}', '{"config_hash":"x"}',
            '{"user":null,"a":1}', '{"customer":""}',
        ]
        surrogates = [
            r'"project_name":"\ud800"', r'"note":"\udfff"', r'"note":"a\ud83dz"', r'"note":"\ude00\ud83d"', r'"\ud800":1',
            r'"note":[["\udc00"]]', r'"note":{"a":{"\udbff":1}}', r'"note":"\ud83d\u0041"',
        ]
        numbers = [
            '"note":NaN', '"additional_users_count":NaN', '"note":[Infinity]', '"note":-Infinity', '"timestamp":NaN',
            '"note":{"a":nan}', '"note":inf',
        ]
        yield "truncated", self.put_truncated, None
        yield "empty", lambda kind: self.put_raw(kind, none[:1]), 1
        yield "blank", lambda kind: self.put_raw(kind, none[1:]), None
        sizes = itertools.cycle([(MIB + 1, False), (2 * MIB, True)])
        yield "huge", lambda kind: self.put_sized(kind, *next(sizes)), 2
        yield "just-not-huge", lambda kind: self.put_sized(kind, MIB, False), 1
        yield "nested-10000", lambda kind: self.put_nested(kind, 10_000), None
        yield "nested-128", lambda kind: self.put_nested(kind, 128), None
        yield "nested-127", lambda kind: self.put_nested(kind, 127), None
        brackets = ["[" * 100_000, '{"user":' * 20_000, "]" * 500, "[" * 128 + "]" * 128]
        yield "brackets", lambda kind: self.put_raw(kind, brackets), None
        yield "array", lambda kind: self.put_raw(kind, ["[]", '[{"user":"x"}]', "[1,2]", '["timestamp","customer","user"]']), 2
        yield "null", lambda kind: self.put_raw(kind, ["null", "null\n", " null "]), 1
        yield "string", lambda kind: self.put_raw(kind, ['"user"', '""', '"{\\"user\\":\\"x\\"}"']), 2
        yield "number", lambda kind: self.put_raw(kind, ["0", "1761834652", "-1.5e3", "5.0"]), 2
        yield "boolean", lambda kind: self.put_raw(kind, ["true", "false\n"]), 2
        noise = self.rng.randbytes(200)
        binaries = [noise, b"\x1f\x8b\x08\0" + noise, b"\x89PNG\r\n\x1a\n" + noise, b"PK\x03\x04{}", b"\xff" * 40]
        yield "binary", lambda kind: self.put_raw(kind, binaries), None
        yield "invalid-utf8", self.put_invalid_utf8, None
        yield "other-encoding", self.put_recoded, None
        yield "lone-surrogate", lambda kind: self.put_spliced(kind, surrogates), None
        yield "not-a-number", lambda kind: self.put_spliced(kind, numbers), None
        yield "loose-json", self.put_loose, None
        yield "trailing-garbage", self.put_trailing, None
        yield "leading-garbage", self.put_leading, None
        yield "two-objects", self.put_doubled, None
        yield "html", lambda kind: self.put_raw(kind, html), None
        yield "unrelated-object", lambda kind: self.put_raw(kind, unrelated), None
        yield "bare-record", lambda kind: self.put_raw(kind, bare), None

        for name in ["timestamp", "customer", "user", "project_name", "cluster_name", "config_hash"]:
            yield f"wrong-type-{name}", set_to([name], WRONG_TEXTS), None
        others = ["user_id", "account", "deployment_id", "backup", "backup_key"]
        yield "wrong-type-other-text", set_to(others, WRONG_TEXTS), None
        yield "wrong-type-not-text", set_to(["late", "git", "ci", "tools"], [1, "yes", [], {"commit": 1}, {"branch": {}}, None, [[]]]), None
        yield "integer-as-text", set_to(["customer", "user", "project_name", "cluster_name", "config_hash"], [42, 0, -3, 2**63]), None
        yield "count-negative", set_to([count], [-1, -5.0, "-1", -(2**63), -0.5, -(2**70)]), None
        yield "count-fractional", set_to([count], [1.5, 0.1, "1.5", "5.0", 1e-9]), None
        words = ["five", "1e3", "+5", "0x10", "1_000", "1,000", "５", "٥", "1 2", "  ", "NaN", "5 users", "\u00b2"]
        yield "count-text", set_to([count], words), None
        yield "count-too-large", set_to([count], [2**64, "18446744073709551616", 2.0**53, 1e300, 2**70, "9" * 400, 2.0**64]), None
        yield "count-wrong-type", set_to([count], [True, False, [], [5], {}, {"n": 5}]), None
        edges = [2**64 - 1, "18446744073709551615", "9007199254740993", "007", "0" * 50 + "7", "\u00a012\n", ""]
        edges += [2**53 + 1, 2.0**53 - 1, 1e15, -0.0]
        yield "count-edge", set_to([count], edges), None

        yield "no-user", set_to(["user"], [..., "", None]), None
        arns = ["arn:aws:iam::123456789012:user/", "arn:aws:iam::123456789012:root/", "arn:aws:iam::1:user/a:b"]
        arns += ["/", ":", "a:b:", "jane", " ", "a/b:c", "x//y", "é/ü"]
        yield "odd-user", set_to(["user"], arns), None
        role = "arn:aws-cn:sts::210987654321:assumed-role/Deployer/"
        yield "tool-session", set_to(["user"], [role + session for session in TOOL_SESSIONS]), None
        yield "chosen-session", set_to(["user"], [role + session for session in CHOSEN_SESSIONS]), None
        arns = [
            "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/", "arn:aws:sts::1:assumed-role//", "arn:aws:sts::1:assumed-role/a/b/",
            "arn:aws:sts::1:assumed-role/", "arn:aws:sts::1:federated-user/", "arn:aws:iam::1:user/", "arn:aws:iam::1:assumed-role/Deployer/",
            "arn:aws:sts:assumed-role/Deployer/", "arn:aws:sts::1:x:assumed-role/Deployer/", "arn:a/ws:sts::1:assumed-role/Deployer/", "x",
        ]
        yield "tool-session-elsewhere", set_to(["user"], [arn + "terragrunt-1700000000000000000" for arn in arns]), None
        yield "future-schema", set_to(["schema"], [2, 99, 2**63]), None
        redone = {"schema": 2, "user": {"arn": "x"}, "timestamp": {"at": 1}, "customer": ["airbnb"], "clusters": []}
        again = {"schema": 99, "project_name": ["x"], count: None}
        yield "future-schema-redone", lambda kind: self.put_changed(kind, [redone, again]), None
        yield "odd-schema", set_to(["schema"], ["2", 1.5, 2.0, None, True, 0, -1, {}, [2], "", 1]), None
        yield "other-customer", self.put_other_customer, None
        yield "earlier-decodable", self.put_earlier_decodable, None
        yield "undecodable-segment", self.put_undecodable, None
        yield "no-customer", self.put_no_customer, None

        times = {
            "time-year-0": ["0000-01-01T00:00:00Z", "0000-12-31T23:59:59+23:59", "0001-01-01T00:00:00+01:00"],
            "time-1969": ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1969-07-20T20:17:40Z"],
            "time-2101": ["2101-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "2101-06-15T12:00:00+02:00"],
            "time-9999": [
                "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "+2026-01-01T00:00:00Z",
                "-2026-01-01T00:00:00Z",
            ],
            "time-leap-second": [
                "DAYT23:59:60Z", "2026-06-30T23:59:60Z", "2026-12-31T23:59:60.5Z", "DAYT12:34:60Z", "DAYT01:59:60+02:00",
            ],
            "time-epoch": [1761834652, "1761834652", 1761834652123, 0, "0", -1, "@1761834652"],
            "time-words": [
                "yesterday", "now", "n/a", "null", "Thu, 30 Oct 2025 14:30:52 GMT", "30.10.2025", "10/30/2025", "2025-W44-4",
                "20251030T143052Z",
            ],
            "time-no-such": [
                "2026-02-30T12:00:00Z", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-04-31T00:00:00Z",
                "2026-04-00T00:00:00Z", "DAYT24:00:00Z", "DAYT23:60:00Z", "DAYT23:59:61Z", "DAYT25:00:00Z",
            ],
            "time-no-zone": [
                "DAYT12:00:00", "DAY", "DAYT12:00Z", "DAYT12Z", "DAYT12:00:00.Z", "DAYT12:00:00,5Z", "DAYT1:00:00Z", "T12:00:00Z",
                "DAYT12:00:00 Z",
            ],
            "time-odd-zone": [
                "DAYT12:00:00+0100", "DAYT12:00:00+24:00", "DAYT12:00:00+01:60", "DAYT12:00:00+01", "DAYT12:00:00UTC",
                "DAYT12:00:00Z+01:00", "DAYT12:00:00+1:00",
            ],
            "time-far-zone": [
                "DAYT00:30:00+23:59", "DAYT23:30:00-23:59", "DAYT23:30:00-02:00", "DAYT00:30:00+14:00", "DAYT12:00:00-00:00",
                "DAYT00:00:00.5+00:01",
            ],
            "time-nearly": ["DAY 12:00:00Z", "DAY_12:00:00Z", "DAYT12:00:00\u221202:00", "DAYT12:00:00.+00:00", "DAYT12-00-00Z"],
            "time-padded": [" DAYT12:00:00Z", "DAYT12:00:00Z\n", "\u00a0DAYT12:00:00Z\t", "\u3000DAYT12:00:00.25-02:00 "],
            "time-badly-padded": [
                "\x00DAYT12:00:00Z", "DAYT12:00:00Z\x1f", "\u200bDAYT12:00:00Z", "\ufeffDAYT12:00:00Z", "'DAYT12:00:00Z",
                "DAYT12:00:00Z;",
            ],
            "time-blank": ["", " ", "\t\n", "\u00a0", "\u3000 "],
            "time-first-and-last": [
                "2000-01-01T00:00:00Z", "1999-12-31T23:30:00-01:00", "2000-01-01T00:30:00+01:00", "2099-12-31T23:59:59.999Z",
                "2100-01-01T00:30:00+01:00", "2099-12-31T23:30:00-01:00", "1999-12-31T23:59:59Z",
            ],
            "time-odd-digits": [
                "２０２６-01-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z", "DAYT12:00:0０Z", "DAYT12:00:00.５Z", "DAY\u200bT12:00:00Z",
            ],
        }
        for name, values in times.items():
            yield name, lambda kind, values=values: self.put_times(kind, values), None

        texts = {"controls": CONTROLS, "bidi": BIDI, "lines": LINES, "commas": COMMAS, "formulas": FORMULAS}
        texts["script"] = [SCRIPT, f"'\">{SCRIPT}"]
        for name, values in [*texts.items()] * 2:
            yield name, lambda kind, values=values: self.put_texts(kind, values), None
        names = ["timestamp", "user", "project_name", "cluster_name", "config_hash", *others, "git", "ci", "tools", count]
        script = dict.fromkeys(names, SCRIPT)
        yield "script-everywhere", lambda kind: self.put_changed(kind, [script, {**script, "customer": SCRIPT}]), None
        # More than once in each round, for they have more to show than the others.
        for _ in range(3):
            yield "odd-key", self.put_odd_key, None
            yield "odd-stem", self.put_odd_stem, None

    def put_all_hostile(self, count):
        """That many hostile objects, one kind after the other."""
        kinds = [[name, make, left] for name, make, left in self.hostile()]
        made = 0
        while made < count:
            for kind in kinds:
                if made == count:
                    break
                name, make, left = kind
                if left == 0:
                    continue
                kind[2] = left and left - 1
                make(name)
                made += 1

    def put_others(self):
        """Objects that are no records at all; what they hold would be one, to show when they are read all the same."""
        names = [
            "x/notes.txt", "x/old/2025.json", "readme.json", "x/", "x/.json", "x/2025-10-30_143052.JSON", "x/2025-10-30_143052.json/",
            "/2025-10-30_143052.json", "",
        ]
        for name in names:
            fields, at = self.base("x")
            self.give("not-a-record-key", fields, at, key=f"usage-logs/{name}")


def main():
    """Prints the corpus."""
    numbers = [int(argument) for argument in sys.argv[1:]]
    if not 1 <= len(numbers) <= 3:
        sys.exit("usage: corpus.py SEED [GOOD=10000] [HOSTILE=220]")
    seed, good, hostile = numbers + [10_000, 220][len(numbers) - 1:]
    corpus = Corpus(seed)
    corpus.put_all_good(good)
    corpus.put_all_hostile(hostile)
    corpus.put_others()
    # A listing is in the order of the keys, and answers come in any: no reader may lean on theirs.
    corpus.rng.shuffle(corpus.objects)
    for thing in corpus.objects:
        print(json.dumps(thing))


if __name__ == "__main__":
    main()
