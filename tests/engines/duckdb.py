"""sql/duckdb.sql in DuckDB, on the golden corpus and on what was made by hand; and what the files in sql/ have in common.

Run by tests/engines/run.sh. DuckDB is `duckdb-s3` of .tools: offline, with its S3 extension loaded.
"""

import json
import os
import re
import subprocess
import sys
import unittest

import bucket
import claims
import story

DUCKDB = bucket.PROJECT / ".tools/bin/duckdb-s3"


def ask(served, query, settings=""):
    """The rows of a query, in a process and a folder of its own."""
    secret = (
        f"CREATE SECRET (TYPE s3, KEY_ID '{bucket.ACCESS_KEY}', SECRET '{bucket.SECRET_KEY}', REGION 'us-east-1',"
        f" ENDPOINT '{served.endpoint.removeprefix('http://')}', URL_STYLE 'path', USE_SSL false);"
    )
    views = (bucket.PROJECT / "sql/duckdb.sql").read_text(encoding="utf-8").replace(bucket.NAME, served.name)
    script = f".mode trash\n{secret}\n{settings}\n{views}\n.mode json\n{query};\n"
    environment = {"PATH": os.environ["PATH"], "HOME": str(served.folder / "home")}
    ended = subprocess.run([DUCKDB, "-bail", "-batch"], input=script.encode(), capture_output=True, env=environment, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.decode())
    table = json.loads(ended.stdout or "[]")
    for row in table:
        # Beyond what a double holds, numbers come as text.
        if "additional_users_count" in row:
            row["additional_users_count"] = int(row["additional_users_count"])
    return table


def states(objects):
    """The same records as they were written, archived by `compact`, and archived without what is in the archive."""
    with bucket.bucket(objects) as served:
        served.run("compact")
        parts = served.objects("usage-logs-archive")
        keys = {row["key"] for row in ask(served, "SELECT key FROM usage_archive")}
    left = [thing for thing in objects if thing["key"] not in keys]
    return {"as-written": objects, "archived": objects + parts, "own-objects-gone": left + parts}


def few():
    """The stories, and a twentieth of the golden corpus around them."""
    return bucket.corpus()[::20] + story.OBJECTS


# Of the whole script, by name: a bucket for each state, and one for each state of the few, `few-STATE`.
BUCKETS = {}


def setUpModule():  # noqa: N802 # the name that unittest looks for
    """Fills the buckets, and serves them."""
    contents = states(bucket.corpus() + story.OBJECTS)
    contents.update({f"few-{state}": objects for state, objects in states(few()).items()})
    BUCKETS.update(claims.enter(bucket.buckets(contents)))


class InDuckDb(claims.Claims):
    """In one of the states: without any difference from `report` of the records as they were written."""

    state = "as-written"

    @classmethod
    def setUpClass(cls):
        cls.expected, cls.served, cls.few = BUCKETS["as-written"], BUCKETS[cls.state], BUCKETS[f"few-{cls.state}"]
        cls.objects = bucket.corpus() + story.OBJECTS

    def ask(self, query):
        return ask(self.served, query)

    def ask_few(self, query):
        return ask(self.few, query)


class AsWritten(InDuckDb, unittest.TestCase):
    """On the golden corpus."""

    def test_deployments_has_the_rows_of_report_all(self):
        self.expected.report("--all")
        before = len(self.expected.requests())
        super().test_deployments_has_the_rows_of_report_all()
        # More for each view that is made, which looks whether there is anything to read, and one for the archive.
        claims.asked_once(self, self.expected.requests()[before:], self.objects, more=19)

    def test_docs_name_every_column(self):
        documented = "".join((bucket.PROJECT / name).read_text(encoding="utf-8") for name in ("docs/reference/formats.md", "docs/sql.md"))
        for view in ("usage_daily", "deployments", "config_versions", "chain_breaks", "gaps"):
            for column in self.ask_few(f"DESCRIBE {view}"):
                self.assertRegex(documented, rf"[`,]{column['column_name']}[`,\n]", view)

    def test_of_one_customer_alone_nothing_else_is_fetched(self):
        before = len(self.expected.requests())
        table = ask(self.expected, 'SELECT * FROM usage_daily ORDER BY "timestamp", "user"', "SET VARIABLE segment = 'airbnb';")
        asked = {request["key"].split("/")[1] for request in self.expected.requests()[before:] if request["operation"] != "ListObjectsV2"}
        self.assertEqual(asked, {"airbnb"})
        self.assertEqual(claims.rows(table, claims.DAILY), claims.rows(self.expected.report("airbnb"), claims.DAILY))


class Archived(InDuckDb, unittest.TestCase):
    """The same bucket once its months are archived: what is asked of it is less, and what it says is the same."""

    state = "archived"

    def test_what_is_archived_is_not_fetched_by_itself(self):
        before = len(self.served.requests())
        self.ask("SELECT count(*) AS n, count(DISTINCT customer) AS m FROM deployments")
        fetched = [it["key"] for it in self.served.requests()[before:] if it["operation"] == "GetObject" and it["key"].startswith("usage-logs/")]
        dated = [key for key in fetched if re.search(r"/[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}(-[^/]*)?\.json$", key)]
        archived = {row["key"] for row in self.ask("SELECT key FROM usage_archive")}
        self.assertFalse(set(dated) & archived)
        self.assertGreater(len(archived), 9_000)
        self.assertLess(len(fetched), len(self.objects) / 4)


class OwnObjectsGone(Archived):
    """The same, once a rule of the bucket has taken the own objects of what is archived away."""

    state = "own-objects-gone"


class Limits(unittest.TestCase):
    """What docs/sql.md says that DuckDB cannot do."""

    def test_a_question_mark_in_a_key_fails_the_query_but_not_that_of_another_customer(self):
        odd = {**story.OBJECTS[0], "key": "usage-logs/what?/2026-10-01_120000.json"}
        with bucket.bucket([odd, *story.OBJECTS]) as served:
            with self.assertRaisesRegex(RuntimeError, "Invalid query parameters"):
                ask(served, "SELECT count(*) AS n FROM deployments")
            one = ask(served, "SELECT count(*) AS n FROM deployments", "SET VARIABLE segment = 'story-whole';")
            self.assertEqual(one, [{"n": 4}])


    def test_of_odd_records_these_alone_are_read_otherwise(self):
        with bucket.bucket(story.ODD_OBJECTS) as served:
            table = ask(served, "SELECT * FROM deployments")
            expected = {"twice", "beyond-a-double", "beyond-a-double-elsewhere", "git-as-a-list"}
            self.assertEqual(claims.otherwise(table, served.report("--all")), expected)


class Files(unittest.TestCase):
    """The three files differ where they must."""

    def setUp(self):
        names = ["athena_tables", "trino_tables", "trino_views", "duckdb"]
        texts = [(bucket.PROJECT / f"sql/{name}.sql").read_text(encoding="utf-8") for name in names]
        self.athena_tables, self.trino_tables, self.views, self.duckdb = texts

    def test_docs_show_the_tables_of_each_engine(self):
        documented = (bucket.PROJECT / "docs/sql.md").read_text(encoding="utf-8")
        for name, text in (("Athena", self.athena_tables), ("Trino", self.trino_tables)):
            table = "\n".join(line for line in text.splitlines() if line and not line.startswith("--"))
            self.assertTrue(table.startswith("CREATE ") and table.count(";") == 2, table)
            for statement in re.split(r"(?<=;)\n", table):
                self.assertIn(statement, documented, f"docs/sql.md does not show a table of {name}")

    def test_what_is_made_from_deployments_is_the_same_everywhere(self):
        tails = {text.split("-- The views from here on are the same in trino_views.sql and duckdb.sql.\n", 1)[1] for text in (self.views, self.duckdb)}
        self.assertEqual(len(tails), 1)

    def test_a_semicolon_stands_at_the_end_of_each_statement_and_nowhere_else(self):
        for text in (self.athena_tables, self.trino_tables, self.views):
            for statement in text.split(";")[:-1]:
                words = [line for line in statement.splitlines() if line and not line.startswith("--")]
                self.assertTrue(words[0].startswith("CREATE "), words[0])
            self.assertEqual(text.rsplit(";", 1)[1], "\n")

    def test_docs_name_every_view(self):
        documented = (bucket.PROJECT / "docs/sql.md").read_text(encoding="utf-8")
        views = re.findall(r"CREATE OR REPLACE VIEW (\w+)", self.duckdb)
        # A table to the others.
        views.remove("usage_archive")
        self.assertEqual(views, re.findall(r"CREATE OR REPLACE VIEW (\w+)", self.views))
        for view in views:
            self.assertIn(f"`{view}`", documented)
            self.assertIn(f"`{view}`", (bucket.PROJECT / "docs/sql.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    if not DUCKDB.exists():
        sys.exit("duckdb.py: no DuckDB in .tools; run tools/install")
    claims.main()
