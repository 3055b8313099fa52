"""Fills the data folder of embedded-aws with made-up usage records, before it is started.

Usage: seed.py DATA_FOLDER CORPUS [LAST], where CORPUS is the name of one below and LAST the time of the last deployment.
The same arguments give the same records.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

BUCKET = "mongodb-arena"
LAST = datetime.fromisoformat(sys.argv[3] if len(sys.argv) == 4 else "2026-11-23T16:42:07").replace(tzinfo=timezone.utc)
CUSTOMERS = [
    "airbnb", "acme", "globex", "initech", "umbrella", "hooli", "stark-industries", "wayne-enterprises", "wonka", "soylent", "tyrell",
    "cyberdyne", "aperture", "massive-dynamic", "nakatomi", "gringotts", "vandelay", "pied-piper", "dunder-mifflin", "sterling-cooper",
]
USERS = [
    "john.doe", "jane.roe", "mary.poppins", "max.power", "eva.novak", "li.wei", "omar.haddad", "anna.schmidt", "ivan.petrov", "zoe.martin",
    "ci-runner", "pat.kim", "noor.ali", "luca.rossi", "rui.silva", "tom.baker", "sara.lind", "ken.ito",
]
# What a browser would run, show in another order or take for its own, if the page let it.
HOSTILE = [
    "<script>window.hacked = 1</script>", "</td></tr></table><h1>gone</h1>", "\"><img src=x onerror=\"window.hacked = 1\">",
    "' onmouseover='window.hacked = 1", "</title></style></script><svg onload=window.hacked=1>", "&lt;b&gt;", "<!--", "]]>", "{{style}}",
    "\u202egnp.exe", "שלום עולם", "مرحبا <b>", "a\u0000b", "javascript:window.hacked=1", "株式会社", "x" * 240,
]


def record(at, customer, user, project, cluster, count, **more):
    """One object: when, whose, and its body."""
    body = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "customer": customer, "user": f"arn:aws:iam::123456789012:user/{user}",
        "user_id": "AIDA", "account": "123456789012", "config_hash": f"{hash_of(customer, at):032x}", "additional_users_count": count,
        "project_name": project, "cluster_name": cluster, "schema": 1, "deployment_id": f"{hash_of(user, at):08x}", "backup": "uploaded",
        "backup_key": "", **more,
    }
    return at, customer, json.dumps(body)


def hash_of(text, at):
    """A number for a text and a week: configs change now and then, not with every deployment."""
    return sum(ord(c) * 131**place for place, c in enumerate(text)) * 7919 % (1 << 96) + at.isocalendar()[1] // 3


def usual(days, number, seed):
    """Deployments as they are: on workdays, by day, more and more of them, most of them of few customers."""
    chance = random.Random(seed)
    weights = lambda names: [1 / (place + 1.5) for place in range(len(names))]
    while number:
        back = days * chance.random() ** 1.5
        time = {"hour": min(23, int(abs(chance.gauss(13, 3)))), "minute": chance.randrange(60), "second": chance.randrange(60)}
        at = (LAST - timedelta(days=back)).replace(**time)
        if at > LAST or (at.weekday() > 4 and chance.random() < 0.85) or (at.month == 12 and at.day > 22):
            continue
        customer = chance.choices(CUSTOMERS, weights(CUSTOMERS))[0]
        user = chance.choices(USERS, weights(USERS))[0]
        cluster = f"{customer}-{chance.choice(['eu-west', 'us-east', 'arena', 'staging'])}"
        git = {"commit": f"{chance.randrange(1 << 160):040x}", "branch": chance.choice(["main", "release/2026-11"]), "dirty": chance.random() < 0.1}
        yield record(at, customer, user, f"{customer}-project", cluster, chance.randrange(1, 40), git=git)
        number -= 1
    yield record(LAST, "airbnb", "john.doe", "airbnb-project", "arena-cluster", 5)


def hostile():
    """A few deployments whose every text is hostile."""
    for place, text in enumerate(HOSTILE):
        at = LAST - timedelta(days=place, seconds=place)
        ci = {"provider": text, "run_url": f"javascript:{text}"}
        # A segment of a key is kept short enough for a file's name.
        yield record(at, text[:60], text, text, text, place, ci=ci, git={"commit": text, "branch": text, "dirty": True})


def unusable():
    """Records that are none."""
    for place, body in enumerate(["", "[1]", "{\"timestamp\":"]):
        yield LAST - timedelta(hours=place), "broken", body


CORPORA = {
    "empty": lambda: [],
    "day": lambda: [record(LAST - timedelta(minutes=7 * place), "acme", "jane.roe", "p", "c", place) for place in range(5)],
    "weeks": lambda: usual(40, 160, 3),
    "year": lambda: usual(400, 2400, 1),
    "years": lambda: usual(1100, 5000, 2),
    "hostile": lambda: [*hostile(), *unusable()],
    "large": lambda: usual(700, 12_000, 4),
}


def segment(customer):
    """The customer as keys have it: docs/reference/formats.md, "Keys in the bucket"."""
    fit = lambda c: c.isascii() and (c.isalnum() or c in "._-")
    if customer[:1].isalnum() and all(map(fit, customer)) and len(customer) < 64:
        return customer
    return "~" + "".join(c if fit(c) else "".join(f"~{byte:02x}" for byte in c.encode()) for c in customer)


def main(data, corpus):
    """Writes each record as a body and, in the hidden tree, the attributes without which it does not exist."""
    for number, (at, customer, body) in enumerate(CORPORA[corpus]()):
        key = f"usage-logs/{segment(customer)}/{at:%Y-%m-%d_%H%M%S}-{number:08x}.json"
        for place, text in ((Path(data, BUCKET, key), body), (Path(data, ".meta", BUCKET, key), '{"metadata":{}}')):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[2] not in CORPORA:
        sys.exit(f"usage: seed.py DATA_FOLDER {'|'.join(CORPORA)} [LAST]")
    main(sys.argv[1], sys.argv[2])
