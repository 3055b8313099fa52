"""The peak memory of `report` over a great many records, which a synthetic S3 makes up as they are asked for, and how what it
needs grows with their number."""

import calendar
import shutil
import sys
import time
import urllib.request

import clients
import servers

sys.path.append(str(clients.HERE.parent / "engines"))
import trino  # noqa: E402

# Dollars for a request: S3 Standard in us-east-1, list prices of 2026-11 (aws.amazon.com/s3/pricing).
GET, LIST = 0.0004 / 1000, 0.005 / 1000
RUNS = ("--no-cache", "cold, with cache", "again")

SPREADS = {"as it is usual": [], "a row for each record": ["--worst"]}


def table(arguments, environment, place, until):
    count = arguments.memory_count
    rows = [
        f"#### {count:,} records, 500 customers, 200 users, 3 years, loopback",
        "",
        "| Records | Run | Rows | Memory | Wall | CPU |",
        "|---|---|--:|--:|--:|--:|",
    ]
    ours = clients.report()
    for number, (spread, flags) in enumerate(SPREADS.items()):
        choice = ["--count", count, "--customers", 500, "--users", 200, "--days", 1095, "--until", until, *flags]
        with servers.Program(servers.TOOL, "synthetic-s3", *choice) as server:
            folder = place / str(number)
            folder.mkdir()
            settings = environment | {"ENDPOINT": server.endpoint, "DIR": str(folder)}
            for run, command in (("--no-cache", f"{ours} --no-cache"), ("cold, with cache", ours), ("again", ours)):
                sample = servers.measure(command, settings)
                with (folder / "rows.csv").open() as lines:
                    found = sum(1 for _ in lines) - 1
                rows.append(
                    f"| {spread} | {run} | {found:,} | {sample['memory'] / 1e6:.0f} MB | {sample['wall']:.1f} s | {sample['cpu']:.1f} s |"
                )
    return "\n".join(rows)


def growth(arguments, environment, place, until):
    """A row for each number of records and each run: what it takes, what it asks for, and what that costs."""
    rows = [
        "| Records | Run | Wall | CPU | Memory | Requests | At list prices |",
        "|--:|---|--:|--:|--:|---|--:|",
    ]
    for count in arguments.scale_counts:
        choice = ["--count", count, "--customers", 500, "--users", 200, "--days", 1095, "--until", until]
        with servers.Program(servers.TOOL, "synthetic-s3", *choice) as server:
            folder = place / str(count)
            folder.mkdir()
            settings = environment | {"ENDPOINT": server.endpoint, "DIR": str(folder)}
            in_trino = count <= arguments.trino_count and trino.HOME.is_dir()
            rows += of_state(server, count, "", folder, settings, in_trino)
            written = folder / "written"
            sample, asked = measured(server, clients.compact(), settings)
            rows.append(row(count, "`compact`", sample, asked, len(written.read_text().splitlines())))
            rows += of_state(server, count, "compacted: ", folder, settings, in_trino)
            # As a rule of the bucket does it with what is archived.
            urllib.request.urlopen(f"{server.endpoint}/expire/{begin_of_month(until)}").close()
            rows += of_state(server, count, "expired: ", folder, settings, in_trino)
    return "\n".join(rows)


def of_state(server, count, state, folder, settings, in_trino):
    """The rows of all runs over a bucket in one state, each with nothing of the states before."""
    rows = []
    if in_trino:
        rows.append(trino_row(server, count, f"{state}Trino"))
    shutil.rmtree(folder / "cache", ignore_errors=True)
    ours, shown = clients.report(), folder / "shown"
    for run in RUNS:
        sample, asked = measured(server, f"{ours} --no-cache" if run == RUNS[0] else ours, settings)
        rows.append(row(count, f"{state}{run}", sample, asked))
        found = (folder / "rows.csv").read_bytes()
        if not shown.exists():
            shown.write_bytes(found)
        if found != shown.read_bytes():
            raise SystemExit(f"bench: of {count} records, {state}{run}: other rows than at first")
    return rows


def measured(server, command, settings):
    """What a command takes, and what it asks for."""
    before = counts(server)
    return servers.measure(command, settings), since(server, before)


def begin_of_month(moment):
    """The first second of a moment's month."""
    now = time.gmtime(moment)
    return calendar.timegm((now.tm_year, now.tm_mon, 1, 0, 0, 0))


def row(count, run, sample, asked, puts=0):
    """What a run came to; `asked` are its pages and its objects."""
    pages, objects = asked
    requests = f"{objects:,} GET, {pages:,} LIST" + (f", {puts:,} PUT" if puts else "")
    return (
        f"| {count:,} | {run} | {sample['wall']:.2f} s | {sample['cpu']:.2f} s | {sample['memory'] / 1e6:.0f} MB"
        f" | {requests} | ${objects * GET + (pages + puts) * LIST:.4f} |"
    )


def trino_row(server, count, run):
    """The row of `usage_daily`, asked once in a Trino with the views; CPU is that of the engine, memory its peak since it started."""
    with trino.trino(server, gigabytes=4) as engine:
        engine.set_up("usage")
        # What starts with the first query is no part of it.
        engine.ask("SELECT 1 AS one")
        before, cpu, start = counts(server), engine.cpu(), time.monotonic()
        engine.ask('SELECT * FROM usage_daily ORDER BY "timestamp", customer, "user"')
        sample = {"wall": time.monotonic() - start, "cpu": engine.cpu() - cpu, "memory": engine.memory()}
        return row(count, run, sample, since(server, before))


def since(server, before):
    """How many pages and objects were asked for since then."""
    return [now - then for now, then in zip(counts(server), before, strict=True)]


def counts(server):
    """How many pages and objects were asked for so far."""
    with urllib.request.urlopen(f"{server.endpoint}/counts") as answer:
        return tuple(int(number) for number in answer.read().split())
