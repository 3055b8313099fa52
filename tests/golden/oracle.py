"""Says what the report must make of a corpus of usage records, from the rules alone: a second opinion on the report.

Usage: oracle.py CORPUS_FILE. The file holds one object of the bucket a line, as corpus.py prints them; what the object
was meant to be ("kind") is not looked at. Prints one JSON object: `rows`, `cells`, `all`, `left_out`, `partial`, `summary`.
"""

import base64
import datetime
import hashlib
import json
import re
import sys

LARGEST = 1_048_576
DEEPEST = 127
# An object with none of these is somebody else's.
MARKS = ("timestamp", "customer", "user", "config_hash")
# All fields of the record that are text.
TEXTS = ("timestamp", "customer", "user", "user_id", "account", "config_hash", "project_name", "cluster_name",
         "deployment_id", "backup", "backup_key")
COUNT = "additional_users_count"

# Unicode's White_Space. Python's str.strip takes away U+001C to U+001F, too, which are not.
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
# Cc, and what turns or breaks lines without being in it.
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
STAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})_([0-9]{2})([0-9]{2})([0-9]{2})")
RFC3339 = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
                     r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))")
# A string, or a bracket outside of strings.
BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

# Names of sessions that tools make up, by the rules in docs/reference/formats.md.
HEX = "[0-9A-Fa-f]"
UUID = f"[0-9A-Fa-f-]{{36}}"
TIME = "[0-9]{10,20}"
ANY = "[A-Za-z0-9_+=,.@-]{1,64}"
MADE_UP = re.compile("|".join([
    f"(assume-role-(from-profile|provider)|web-identity-token(-profile)?|(botocore|AWS-CLI)-session|aws-go-sdk|terragrunt)-{TIME}",
    f"aws-sdk-{ANY}-{TIME}|aws-dotnet-sdk-session-{TIME}|{TIME}",
    f"(AWSCodeBuild-|eks-{ANY}-|buildkite-job-|){UUID}|{HEX}{{32,64}}|m?i-{HEX}{{8,17}}|[A-Za-z0-9]{{48}}",
    "default_session|(token-file-)?web-identity|temporary-credentials|assumed-from-leapp|GitHubActions|Jenkins|build-session|aws-vsts-tools",
    f"(GitHubActions-|GitLabRunner-[0-9]{{1,20}}-|Jenkins-({ANY}-)?)[0-9]{{1,20}}|terraform-run-{ANY}|[0-9A-Z]{{26}}@{ANY}",
]))
ASSUMED_ROLE = re.compile(r"arn:[^:/]*:sts:[^:/]*:[^:/]*:assumed-role/(?!AWSReservedSSO_)([^/]+)/([^/]*)")

EPOCH = datetime.datetime(1970, 1, 1)


# --- times: (whole seconds since 1970, nanoseconds); second 60 is second 59 with 1,000,000,000 nanoseconds or more


def seconds(moment):
    """The whole seconds from 1970 to a moment without a time zone; exact, unlike datetime.timestamp."""
    gone = moment - EPOCH
    return gone.days * 86_400 + gone.seconds


def moment(time):
    """The moment, to the whole second, of a time."""
    return EPOCH + datetime.timedelta(seconds=time[0])


def time_of_text(text):
    """The time that an RFC 3339 text says; None unless it is one, of a year from 2000 to 2099 in UTC."""
    match = RFC3339.fullmatch(text.strip(WHITE))
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    ahead = 0
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            return None
        ahead = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    if second == 60:
        second, nanoseconds = 59, nanoseconds + 1_000_000_000
    try:
        utc = datetime.datetime(year, month, day, hour, minute, second) - datetime.timedelta(minutes=ahead)
    except (ValueError, OverflowError):
        return None
    return (seconds(utc), nanoseconds) if 2000 <= utc.year <= 2099 else None


def time_of_stem(stem):
    """The time in an object's name; None where it has none."""
    match = STAMP.fullmatch(stem[:17])
    if not match or stem[17:18] not in ("", "-"):
        return None
    try:
        utc = datetime.datetime(*map(int, match.groups()))
    except ValueError:
        return None
    return (seconds(utc), 0) if 2000 <= utc.year <= 2099 else None


def rfc3339(time):
    """A time as text: UTC, with as many of 0, 3, 6 or 9 digits of the second's fraction as it takes."""
    nanoseconds = time[1] % 1_000_000_000
    second = moment(time).second + time[1] // 1_000_000_000
    digits = f"{nanoseconds:09}"
    if nanoseconds == 0:
        fraction = ""
    elif digits.endswith("000000"):
        fraction = "." + digits[:3]
    elif digits.endswith("000"):
        fraction = "." + digits[:6]
    else:
        fraction = "." + digits
    return f"{moment(time):%Y-%m-%dT%H:%M}:{second:02}{fraction}Z"


# --- names


def segment_of(customer):
    """The path segment that stands for a customer."""
    if PLAIN.fullmatch(customer):
        return customer
    raw = customer.encode("utf-8")
    coded = "~" + re.sub(rb"[^A-Za-z0-9._-]", lambda byte: b"~%02x" % byte[0][0], raw).decode("ascii")
    return coded if len(coded) <= 400 else "~~h" + hashlib.sha256(raw).hexdigest()


def customer_of(segment):
    """The customer that a path segment stands for; None where the segment alone does not tell."""
    if PLAIN.fullmatch(segment):
        return segment
    if not re.fullmatch(r"~(?:[A-Za-z0-9._-]|~[0-9a-f]{2})*", segment):
        return None
    raw = re.sub(rb"~([0-9a-f]{2})", lambda pair: bytes.fromhex(pair[1].decode("ascii")), segment[1:].encode("ascii"))
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return name if segment_of(name) == segment else None


def user_of(arn):
    """The name in an ARN, or its role where a tool made up that name."""
    role = ASSUMED_ROLE.fullmatch(arn)
    if role and MADE_UP.fullmatch(role[2]):
        return role[1]
    for mark in "/:":
        if mark in arn:
            return arn[arn.rindex(mark) + 1:]
    return arn


def cell(text):
    """A text as the CSV shows it."""
    shown = UNSHOWN.sub("\ufffd", text)
    return "'" + shown if shown.lstrip(WHITE).startswith(FORMULA) else shown


# --- JSON


def checked_string(text):
    """Refuses what cannot be written as UTF-8: a half of a surrogate pair."""
    text.encode("utf-8")


def checked_list(items):
    """Looks for strings to refuse in a list; the objects in it have been looked at when they were made."""
    for item in items:
        if isinstance(item, str):
            checked_string(item)
        elif isinstance(item, list):
            checked_list(item)


def checked_object(pairs):
    """Makes an object, once there is nothing in it to be refused."""
    for name, value in pairs:
        checked_list([name, value])
    return dict(pairs)


def refused(constant):
    """Refuses NaN and Infinity, which Python's JSON has and JSON has not."""
    raise ValueError(constant)


def depth(text):
    """How deep a JSON text is nested. Counted before it is parsed, for Python's parser has a limit of its own."""
    level = deepest = 0
    for token in BRACKETS.finditer(text):
        if token[0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token[0] in "]}":
            level -= 1
    return deepest


def record_of(body):
    """The fields of the usage record in an object; None where it is none."""
    if len(body) > LARGEST:
        return None
    try:
        text = body.decode("utf-8").removeprefix("\ufeff")
        if depth(text) > DEEPEST:
            return None
        fields = json.loads(text, object_pairs_hook=checked_object, parse_constant=refused)
    except ValueError:  # that of JSON, UTF-8 and surrogates alike
        return None
    if not isinstance(fields, dict) or not any(mark in fields for mark in MARKS):
        return None
    return fields


# --- records


def text_in(value):
    """The text in a field, and whether the field is in order."""
    if value is None or isinstance(value, str):
        return value or "", True
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), True
    return "", False


def count_in(value):
    """The count in a field, and whether the field is in order."""
    if value is None or value == "":
        return 0, True
    if isinstance(value, str):
        digits = value.strip(WHITE)
        value = int(digits) if re.fullmatch(r"[0-9]+", digits) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() and value < 2**53 else None
    elif isinstance(value, bool):
        value = None
    if isinstance(value, int) and 0 <= value < 2**64:
        return value, True
    return 0, False


def deployment_of(key, segment, stem, modified, body):
    """The deployment that an object tells of, with the names of the fields something is wrong with; None if it tells of none."""
    fields = record_of(body)
    if fields is None:
        return None
    wrong = set()
    texts = {}
    for name in TEXTS:
        texts[name], fine = text_in(fields.get(name))
        if not fine:
            wrong.add(name)
    count, fine = count_in(fields.get(COUNT))
    if not fine:
        wrong.add(COUNT)
    if not texts["user"]:
        wrong.add("user")
    schema = fields.get("schema")
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > 1:
        wrong.add("schema")

    chain = fields.get("chain")
    number = chain["number"] if isinstance(chain, dict) and isinstance(chain.get("number"), int) else 0

    time = time_of_text(texts["timestamp"])
    if time is None:
        if texts["timestamp"].strip(WHITE):
            wrong.add("timestamp")
        time = time_of_stem(stem) or (modified, 0)

    said = texts["customer"]
    if segment_of(said) == segment:
        customer = said
    else:
        customer = customer_of(segment)
        if customer is None:
            customer = segment
        if said and said != customer:
            wrong.add("customer")

    return {
        "key": key,
        "time": time,
        "order": (time, number, modified, key.encode("utf-8")),
        "date": f"{moment(time):%Y-%m-%d}",
        "customer": customer,
        "arn": texts["user"],
        "user": user_of(texts["user"]),
        "count": count,
        "project": texts["project_name"],
        "cluster": texts["cluster_name"],
        "config_hash": texts["config_hash"],
        "wrong": sorted(wrong),
    }


def parts(key):
    """The segment and the stem of the key of a usage record; None for other keys."""
    match = re.fullmatch(r"usage-logs/([^/]+)/([^/]+)\.json", key)
    return match.groups() if match else None


def octets(text):
    """What text is sorted by."""
    return text.encode("utf-8")


def totals(deployments, group):
    """How many deployments and configs each group has, and its first and last deployment."""
    members = {}
    for deployment in deployments:
        members.setdefault(group(deployment), []).append(deployment)
    return {
        name: {
            "deployments": len(members[name]),
            "configs": len({deployment["config_hash"] for deployment in members[name]} - {""}),
            "first": rfc3339(min(deployment["time"] for deployment in members[name])),
            "last": rfc3339(max(deployment["time"] for deployment in members[name])),
        }
        for name in sorted(members, key=octets)
    }


def week(deployment):
    """The ISO week of a deployment, whose year is not always the date's."""
    year, number, _ = datetime.date.fromisoformat(deployment["date"]).isocalendar()
    return f"{year}-W{number:02}"


def opinion(objects):
    """What the report must make of these objects."""
    deployments, left_out = [], []
    for thing in objects:
        found = parts(thing["key"])
        if found is None:
            continue
        deployment = deployment_of(thing["key"], *found, thing["modified"], base64.b64decode(thing["body"], validate=True))
        if deployment is None:
            left_out.append(thing["key"])
        else:
            deployments.append(deployment)
    deployments.sort(key=lambda deployment: deployment["order"])

    last = {}
    for deployment in deployments:
        last[deployment["date"], deployment["customer"], deployment["user"]] = deployment
    rows = [
        [*place, last[place]["count"], last[place]["project"], last[place]["cluster"]]
        for place in sorted(last, key=lambda place: tuple(map(octets, place)))
    ]
    return {
        "rows": rows,
        "cells": [[cell(str(value)) for value in row] for row in rows],
        "all": [
            {
                "key": deployment["key"],
                "timestamp": rfc3339(deployment["time"]),
                "customer": deployment["customer"],
                "user": deployment["user"],
                "arn": deployment["arn"],
                COUNT: deployment["count"],
                "project_name": deployment["project"],
                "cluster_name": deployment["cluster"],
                "config_hash": deployment["config_hash"],
            }
            for deployment in deployments
        ],
        "left_out": sorted(left_out, key=octets),
        "partial": {
            deployment["key"]: deployment["wrong"]
            for deployment in sorted(deployments, key=lambda deployment: octets(deployment["key"]))
            if deployment["wrong"]
        },
        "summary": {
            "total": len(deployments),
            "customers": totals(deployments, lambda deployment: deployment["customer"]),
            "users": totals(deployments, lambda deployment: deployment["user"]),
            "months": totals(deployments, lambda deployment: deployment["date"][:7]),
            "weeks": totals(deployments, week),
        },
    }


def main():
    """Reads the corpus and prints the opinion."""
    if len(sys.argv) != 2:
        sys.exit("usage: oracle.py CORPUS_FILE")
    # A number of any length is JSON; Python's own limit is none of the rules'.
    sys.set_int_max_str_digits(0)
    with open(sys.argv[1], encoding="utf-8", newline="\n") as lines:
        objects = [json.loads(line) for line in lines if line.strip()]
    print(json.dumps(opinion(objects)))


if __name__ == "__main__":
    main()
