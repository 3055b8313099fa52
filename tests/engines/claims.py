"""What SQL promises in every engine: the rows of `report`, and what only SQL tells. Each engine's test adds how to ask it."""

import datetime
import signal
import sys
import unittest

import story

# What `report --all` shows; the view has more behind it.
ALL = [
    "timestamp", "customer", "user", "additional_users_count", "project_name", "cluster_name", "arn", "account", "config_hash", "backup",
    "late", "deployment_id", "git_commit", "git_branch", "git_dirty", "ci_provider", "ci_run_url",
]
DAILY = ALL[:6]


def rows(table, names):
    """The cells of these columns; what a record does not say is empty in the report and may be null in SQL."""
    return [tuple("" if row[name] is None else row[name] for name in names) for row in table]


def enter(context):
    """Enters a context for all tests of the script."""
    value = context.__enter__()
    unittest.addModuleCleanup(context.__exit__, None, None, None)
    return value


def asked_once(case, requests, objects, more=0):
    """What docs/sql.md says of the cost: a GET for each object at most, a LIST for each thousand and so many more, and nothing else."""
    kinds = {kind: [request["key"] for request in requests if request["operation"] == kind] for kind in ("GetObject", "ListObjectsV2")}
    case.assertEqual(len(requests), sum(map(len, kinds.values())))
    case.assertGreater(len(kinds["GetObject"]), 10_000)
    case.assertEqual(len(kinds["GetObject"]), len(set(kinds["GetObject"])))
    case.assertEqual(len(kinds["ListObjectsV2"]), -(-len(objects) // 1000) + more)


def otherwise(got, reported):
    """The ids of the deployments that are not the same in both, or only in one of them."""
    one, other = ({row[ALL.index("deployment_id")]: row for row in rows(table, ALL)} for table in (got, reported))
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


class Claims:
    """For a unittest.TestCase with `ask` and `ask_few`, and with `expected`, a bucket whose report is what `ask` must give."""

    maxDiff = None
    # So many rows the reports have at least: `usage_daily`, and `deployments`.
    least_rows = (3_000, 10_000)

    def ask(self, query):
        """The rows of a query, a dictionary each; counts are integers."""
        raise NotImplementedError

    def ask_few(self, query):
        """The same of a bucket with the stories and few other objects: what is told of a story does not depend on their number."""
        raise NotImplementedError

    def same(self, got, wanted):
        """Row by row, with the first one that differs instead of all of them."""
        for got_row, wanted_row in zip(got, wanted):
            self.assertEqual(got_row, wanted_row)
        self.assertEqual(len(got), len(wanted))

    def test_usage_daily_has_the_rows_of_report(self):
        wanted = rows(self.expected.report(), DAILY)
        self.assertGreater(len(wanted), self.least_rows[0])
        self.same(rows(self.ask('SELECT * FROM usage_daily ORDER BY "timestamp", customer, "user"'), DAILY), wanted)

    def test_deployments_has_the_rows_of_report_all(self):
        wanted = rows(self.expected.report("--all"), ALL)
        self.assertGreater(len(wanted), self.least_rows[1])
        table = self.ask("SELECT * FROM deployments ORDER BY deployed_at, coalesce(chain_number, 0), last_modified, key")
        self.same(rows(table, ALL), wanted)

    def test_breaks_of_the_chains_are_found(self):
        # Of the chains of the corpus, whose writers begin with c, only single records are there.
        table = self.ask_few("SELECT * FROM chain_breaks WHERE chain_writer NOT LIKE 'c%' ORDER BY customer, what, first_number")
        self.assertEqual(rows(table, ["customer", "chain_writer", "what", "first_number", "last_number", "key"]), story.CHAIN_BREAKS)

    def test_versions_of_the_configs_are_told(self):
        table = self.ask_few(
            "SELECT customer, config_hash, CAST(CAST(first_deployed_at AS DATE) AS VARCHAR) AS first,"
            " CAST(CAST(last_deployed_at AS DATE) AS VARCHAR) AS last, deployments, users, backup_key"
            " FROM config_versions WHERE customer LIKE 'story-%' ORDER BY customer, config_hash"
        )
        names = ["customer", "config_hash", "first", "last", "deployments", "users", "backup_key"]
        self.assertEqual(rows(table, names), story.CONFIG_VERSIONS)

    def test_gaps_are_told(self):
        before = datetime.datetime.now(datetime.timezone.utc).timestamp()
        table = self.ask_few(
            "SELECT *, CAST(CAST(last_deployed_at AS DATE) AS VARCHAR) AS last FROM gaps WHERE customer LIKE 'story-%' ORDER BY customer"
        )
        after = datetime.datetime.now(datetime.timezone.utc).timestamp()
        self.assertEqual(rows(table, ["customer", "last", "deployments", "spooled", "failed", "late", "missing"]), story.GAPS)
        for row in table:
            noon = story.DAY + (int(row["last"][8:]) - 1) * 86_400 + 43_200
            self.assertIn(row["hours_since"], range(int((before - noon) // 3600), int((after - noon) // 3600) + 1))


def main():
    """Runs the tests of the script that calls it; what they started also ends when they are told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main(module="__main__", verbosity=2)
