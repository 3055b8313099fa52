#!/usr/bin/env python3
"""Writes the small configs of tests/e2e/yaml.rs into a folder: `generate.py FOLDER`. The same files each time."""

import pathlib
import sys

CONFIG = """\
customer:
  name: {name}
aws:
  profile: {profile}
mongodb:
  project_name: {project}
  cluster_name: {cluster}
  additional_users_count: {count}
"""
PLAIN = {"name": "acme", "profile": "team-a", "project": "acme-project", "cluster": "arena", "count": "5"}

# Values of customer.name, and of all other fields in turn.
TEXTS = [
    "acme", "'acme'", '"acme"', "ACME", "acme corp", '"acme "', '" acme"', "acme # a comment", "acme#1", "'it''s'", '"a\\tb"', '"\\u00e9"', "é",
    "acme.io", "acme/eu", "acme:eu", "-acme", "- acme", "?acme", "@acme", "`acme`", "%acme", "!acme", "!!str acme", "!!str 7", "!!str", "&a acme",
    "*a", "|-\n    acme", "|\n    acme", ">-\n    acme\n    corp", "acme\n    corp", "''", '""', "", "~", "null", "Null", "NULL", "nul", "true",
    "True", "TRUE", "tRUE", "false", "yes", "Yes", "YES", "no", "on", "off", "y", "n", "Y", "N", "'yes'", "7", "007", "0", "-0", "+7", "-7", "7.0",
    "7.50", "0.5", ".5", "5.", ".", "1e3", "1E3", "1e-2", "1.5e3", "1e+2", "1_000", "0x10", "0X10", "0xfg", "0o17", "0O17", "0b11", "08", "1:30",
    "12:30:45", "2026-01-02", "2026-1-2", "2026-13-02", "2026-02-30", "2026-01-02T03:04:05Z", "2026-01-02t03:04:05+02:00", "2026-01-02 03:04:05",
    "2026-01-02 03:04:05.678", "2026-01-02T03:04:05", "2026-01-02 03:04:05 Z", "'2026-01-02'", ".inf", "-.inf", "+.INF", ".nan", ".NaN",
    "123456789012345678901234567890", "1e30", "0.1234567890123456789", "!!int 7", "!!int '7'", "!!int 1_000", "!!int acme", "!!float 7",
    "!!bool yes", "!!bool acme", "!!null acme", "!!binary YWNtZQ==", "!!binary acme!", "!!timestamp 2026-01-02", "!!map acme", "!own acme",
    "[acme]", "[]", "{}", "{a: b}", "\n    - acme", "\n    a: b", "<<", "'<<'", "=", "acme: corp", "1 2", "0x", "0o8", "1e", "e1", "--1", "1.2.3",
    "10.0.0.1", "1,000", "Infinity", "NaN", "inf", "nan", "null#", "t", "f", "o", "00", "0.0", "-1.0", "+.5", "0x7fffffffffffffff", "0xffffffffffffffff",
    "0x10000000000000000", "9223372036854775808", "\"5\"", "'5'", "\" 5 \"",
]
COUNTS = ["5", "5.0", "5e0", "50e-1", "0x5", "0o5", "005", "+5", "-5", "5.5", "'5'", "\"5.0\"", "five", "true", "yes", "~", "", "[5]", "{}", "1e2", "5_0", "!!int 5", "!!str 5", "!!float 5", "1e400", "18446744073709551615", "18446744073709551616", ".inf", ".nan", "2026-01-02", "0", "-0"]

WHOLE = {
    "empty": "",
    "blank": "\n  \n",
    "comment": "# nothing\n",
    "text": "acme\n",
    "list": "- customer: {name: acme}\n",
    "null": "~\n",
    "bom": "\ufeffcustomer:\n  name: acme\n",
    "bom-marker": "\ufeff---\ncustomer:\n  name: acme\n",
    "bom-flow": "\ufeffcustomer: {name: acme}\n",
    "bom-comment": "\ufeff# a comment\ncustomer: {name: acme}\n",
    "bom-twice": "\ufeff\ufeffcustomer: {name: acme}\n",
    "bom-inside": "customer: {name: acme}\n\ufeffaws: {profile: p}\n",
    "crlf": CONFIG.format(**PLAIN).replace("\n", "\r\n"),
    "cr": CONFIG.format(**PLAIN).replace("\n", "\r"),
    "no-newline": "customer: {name: acme}",
    "tabs": "customer:\n\tname: acme\n",
    "tab-after": "customer:\t\n  name:\tacme\t\n",
    "flow": "{customer: {name: acme}, aws: {profile: p}, mongodb: {project_name: pr, additional_users_count: 3}}\n",
    "flow-lines": "customer: {\n  name: acme,\n}\n",
    "flow-json": '{"customer":{"name":"acme"},"mongodb":{"additional_users_count":3}}\n',
    "flow-json-spaces": '{"customer" : {"name" :"acme"}}\n',
    "flow-adjacent": '{"customer":{"name":acme}}\n',
    "marker": "---\ncustomer: {name: acme}\n",
    "marker-end": "---\ncustomer: {name: acme}\n...\n",
    "marker-text": "--- {customer: {name: acme}}\n",
    "directive": "%YAML 1.1\n---\ncustomer: {name: acme}\n",
    "directive-12": "%YAML 1.2\n---\ncustomer: {name: acme}\n",
    "directive-13": "%YAML 1.3\n---\ncustomer: {name: acme}\n",
    "directive-tag": "%TAG !y! tag:yaml.org,2002:\n---\ncustomer: {name: !y!str 7}\n",
    "directive-other": "%OTHER x\n---\ncustomer: {name: acme}\n",
    "documents": "customer: {name: acme}\n---\ncustomer: {name: other}\n",
    "documents-empty": "customer: {name: acme}\n---\n",
    "documents-end": "customer: {name: acme}\n...\n# a comment\n",
    "documents-ended": "customer: {name: acme}\n...\ncustomer: {name: other}\n",
    "merge": "base: &b {project_name: pr, cluster_name: cl}\nmongodb:\n  <<: *b\n  additional_users_count: 9\n",
    "merge-override-before": "base: &b {name: base}\ncustomer:\n  name: acme\n  <<: *b\n",
    "merge-override-after": "base: &b {name: base}\ncustomer:\n  <<: *b\n  name: acme\n",
    "merge-root": "base: &b\n  customer: {name: acme}\n  aws: {profile: p}\n<<: *b\nmongodb: {project_name: pr}\n",
    "merge-list": "a: &a {name: one}\nb: &b {name: two}\ncustomer:\n  <<: [*a, *b]\n",
    "merge-list-block": "a: &a {name: one}\nb: &b {x: y}\ncustomer:\n  <<:\n    - *a\n    - *b\n",
    "merge-twice": "a: &a {name: one}\nb: &b {name: two}\ncustomer:\n  <<: *a\n  <<: *b\n",
    "merge-inline": "customer:\n  <<: {name: acme}\n",
    "merge-nested": "a: &a {name: acme}\nb: &b {<<: *a, x: y}\ncustomer: {<<: *b}\n",
    "merge-quoted": 'a: &a {name: acme}\ncustomer:\n  "<<": *a\n',
    "merge-tag": "a: &a {name: acme}\ncustomer:\n  !!merge <<: *a\n",
    "merge-str-tag": "a: &a {name: acme}\ncustomer:\n  !!str <<: *a\n",
    "merge-text": "customer:\n  <<: acme\n",
    "merge-null": "customer:\n  <<: ~\n  name: acme\n",
    "merge-list-of-text": "customer:\n  <<: [acme]\n",
    "merge-list-empty": "customer:\n  <<: []\n  name: acme\n",
    "merge-deep": "base: &b\n  customer: {name: base, x: y}\n<<: *b\ncustomer: {z: z}\n",
    "duplicate": "customer:\n  name: one\n  name: two\n",
    "duplicate-section": "customer: {name: one}\naws: {profile: p}\ncustomer: {name: two}\n",
    "duplicate-section-partial": "mongodb: {project_name: pr}\nmongodb: {cluster_name: cl}\n",
    "duplicate-flow": "customer: {name: one, name: two}\n",
    "duplicate-null": "customer: {name: one}\ncustomer:\n",
    "duplicate-elsewhere": "customer: {name: acme}\nscenario: {x: 1, x: 2}\n",
    "duplicate-spelling": "customer: {name: acme}\nx: {1: a, '1': b, 1.0: c}\n",
    "key-number": "customer: {name: acme}\n7: x\n",
    "key-bool": "customer: {name: acme}\nyes: x\n",
    "key-null": "customer: {name: acme}\n~: x\n",
    "key-empty": "customer: {name: acme}\n: x\n",
    "key-list": "customer: {name: acme}\n[a]: x\n",
    "key-map": "customer: {name: acme}\n{a: b}: x\n",
    "key-explicit": "? customer\n: {name: acme}\n",
    "key-explicit-list": "? [a]\n: x\ncustomer: {name: acme}\n",
    "key-quoted": "'customer':\n  \"name\": acme\n",
    "key-tagged": "!!str customer: {name: acme}\n",
    "key-anchored": "&c customer: {name: acme}\n",
    "key-alias": "a: &a customer\n*a : {name: acme}\n",
    "key-capital": "Customer: {name: acme}\n",
    "key-blank": "customer : {name : acme}\n",
    "key-nan": "customer: {name: acme}\n.nan: x\n",
    "alias-name": "x: &n acme\ncustomer: {name: *n}\n",
    "alias-section": "x: &c {name: acme}\ncustomer: *c\n",
    "alias-number": "x: &n 5\nmongodb: {additional_users_count: *n}\n",
    "alias-redefined": "x: &n one\ny: &n two\ncustomer: {name: *n}\n",
    "alias-unknown": "customer: {name: *n}\n",
    "alias-later": "customer: {name: *n}\nx: &n acme\n",
    "alias-self": "customer: &c {name: *c}\n",
    "alias-self-list": "x: &c [*c]\ncustomer: {name: acme}\n",
    "alias-of-root": "&r\ncustomer: {name: acme, x: *r}\n",
    "anchor-empty": "customer:\n  name: &n\naws: {profile: *n}\n",
    "anchor-empty-text": "x: &n ''\ncustomer: {name: *n}\n",
    "anchor-tag": "x: &n !!str 7\ncustomer: {name: *n}\n",
    "tag-section": "customer: !!map {name: acme}\n",
    "tag-section-other": "customer: !own {name: acme}\n",
    "tag-section-seq": "customer: !!seq {name: acme}\n",
    "tag-root": "!!map\ncustomer: {name: acme}\n",
    "tag-root-other": "!own\ncustomer: {name: acme}\n",
    "tag-elsewhere": "customer: {name: acme}\nx: !own y\n",
    "tag-long": "customer: {name: !<tag:yaml.org,2002:str> 7}\n",
    "tag-bang": "customer: {name: ! 7}\n",
    "tag-set": "customer: {name: acme}\nx: !!set {a, b}\n",
    "tag-omap": "customer: {name: acme}\nx: !!omap [a: b]\n",
    "section-text": "customer: acme\n",
    "section-list": "customer: [name, acme]\n",
    "section-list-of-maps": "customer:\n  - name: acme\n",
    "section-null": "customer:\n",
    "section-empty": "customer: {}\n",
    "section-number": "mongodb: 7\n",
    "section-nested": "customer:\n  customer:\n    name: acme\n",
    "indent-wide": "customer:\n        name: acme\n",
    "indent-none": "customer:\nname: acme\n",
    "indent-mixed": "customer:\n    x: y\n  name: acme\n",
    "indent-list": "x:\n- a\n- b\ncustomer:\n  name: acme\n",
    "indent-root": "  customer:\n    name: acme\n",
    "unclosed-quote": "customer:\n  name: \"acme\n",
    "unclosed-bracket": "customer: {name: acme\n",
    "unclosed-later": "customer: {name: acme}\nx: [a\n",
    "colon-missing": "customer\n  name: acme\n",
    "colon-tight": "customer:{name: acme}\n",
    "comment-tight": "customer: {name: acme}#x\n",
    "comment-after": "customer: # who\n  name: acme # them\n",
    "comment-between": "customer:\n  # who\n\n  name: acme\n# end\n",
    "percent-inside": "customer:\n  name: acme\n  x: 100%\n%x: y\n",
    "control": "customer: {name: \"a\\u0007b\"}\n",
    "control-raw": "customer: {name: a\u0007b}\n",
    "nul-raw": "customer: {name: a\0b}\n",
    "del-raw": "customer: {name: a\u007fb}\n",
    "nel": "customer: {name: acme}\u0085aws: {profile: p}\n",
    "nel-comment": "customer: {name: acme} # c\u0085aws: {profile: p}\n",
    "ls": "customer: {name: 'a\u2028b'}\n",
    "nbsp": "customer:\u00a0{name: acme}\n",
    "emoji": "customer: {name: \U0001f600}\n",
    "escape-x": 'customer: {name: "\\x41"}\n',
    "escape-bad": 'customer: {name: "\\q"}\n',
    "escape-slash": 'customer: {name: "a\\/b"}\n',
    "escape-newline": 'customer: {name: "a\\\n  b"}\n',
    "quoted-lines": "customer: {name: 'a\n\n  b'}\n",
    "plain-lines": "customer:\n  name: a\n    b\n\n    c\n",
    "plain-colon-line": "customer:\n  name: a\n  b\n",
    "block-indent": "customer:\n  name: |2\n     acme\n",
    "block-keep": "customer:\n  name: |+\n    acme\n\naws: {profile: p}\n",
    "block-no-newline": "customer:\n  name: |\n    acme",
    "block-folded-no-newline": "customer:\n  name: >\n    acme\n    corp",
    "block-strip-no-newline": "customer:\n  name: |-\n    acme",
    "block-keep-no-newline": "customer:\n  name: |+\n    acme\n\n",
    "block-keep-blank-no-newline": "customer:\n  name: |+\n    acme\n\n    ",
    "block-header-no-newline": "customer:\n  name: |",
    "block-header-comment-no-newline": "customer:\n  name: | # x",
    "block-in-list-no-newline": "customer: {name: acme}\nx:\n  - |\n    y",
    "folded-key-no-newline": "customer: {name: acme}\n? |\n  y",
    "plain-no-newline": "customer:\n  name: acme",
    "quoted-no-newline": "customer:\n  name: 'acme'",
    "comment-no-newline": "customer: {name: acme}\n# x",
    "marker-no-newline": "customer: {name: acme}\n---",
    "end-no-newline": "customer: {name: acme}\n...",
    "block-folded": "customer:\n  name: >\n    a\n    b\n\n    c\n",
    "block-strip-indent": "customer:\n  name: >-2\n    acme\n",
    "flow-in-block": "customer:\n  {name: acme}\n",
    "flow-multiline-key": "{a\n b: c, customer: {name: acme}}\n",
    "flow-no-indent": "customer: {\nname: acme\n}\n",
    "flow-comment": "customer: {name: acme, # c\n  x: y}\n",
    "flow-empty-entry": "customer: {name: acme, , x: y}\n",
    "flow-single-key": "customer: {name}\n",
    "flow-question": "customer: {? name : acme}\n",
    "flow-pair": "x: [a: b]\ncustomer: {name: acme}\n",
    "flow-colon": "customer: {name: a:b}\n",
    "flow-url": "customer: {name: http://x}\n",
    "flow-plain-dash": "customer: {name: -a}\n",
    "flow-dash": "x: [-]\ncustomer: {name: acme}\n",
    "flow-tight": "customer: {name:acme}\n",
    "list-dash-only": "x:\n  -\n  - a\ncustomer: {name: acme}\n",
    "list-compact": "x:\n- - a\n  - b\n- c: d\n  e: f\ncustomer: {name: acme}\n",
    "deep": "x: " + "[" * 60 + "]" * 60 + "\ncustomer: {name: acme}\n",
}


def corpus():
    for field, key in (("name", "name"), ("project", "project"), ("profile", "profile"), ("cluster", "cluster")):
        for number, text in enumerate(TEXTS):
            # Each text in one field, the names in all: the fields share one reader.
            if field == "name" or number % 4 == ("project", "profile", "cluster").index(field):
                yield f"{key}-{number:03}", CONFIG.format(**PLAIN | {key: text})
    for number, count in enumerate(COUNTS):
        yield f"count-{number:03}", CONFIG.format(**PLAIN | {"count": count})
    for name, text in WHOLE.items():
        yield f"whole-{name}", text


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in corpus():
        (folder / f"{name}.yaml").write_bytes(text.encode())
    for name, encoding in (("utf-16", "utf-16"), ("utf-16be", "utf-16-be"), ("utf-32", "utf-32"), ("latin-1", "latin-1")):
        (folder / f"bytes-{name}.yaml").write_bytes("customer: {name: é}\n".encode(encoding))


if __name__ == "__main__":
    main()
