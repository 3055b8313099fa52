"""The peak memory of `report` over a great many records, which a synthetic S3 makes up as they are asked for, and how what it
needs grows with their number."""

import urllib.request

import clients
import servers

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
    ours = clients.report()
    for count in arguments.scale_counts:
        choice = ["--count", count, "--customers", 500, "--users", 200, "--days", 1095, "--until", until]
        with servers.Program(servers.TOOL, "synthetic-s3", *choice) as server:
            folder = place / str(count)
            folder.mkdir()
            settings = environment | {"ENDPOINT": server.endpoint, "DIR": str(folder)}
            for run in RUNS:
                pages, objects = counts(server)
                sample = servers.measure(f"{ours} --no-cache" if run == RUNS[0] else ours, settings)
                pages, objects = (now - before for now, before in zip(counts(server), (pages, objects), strict=True))
                rows.append(
                    f"| {count:,} | {run} | {sample['wall']:.2f} s | {sample['cpu']:.2f} s | {sample['memory'] / 1e6:.0f} MB"
                    f" | {objects:,} GET, {pages:,} LIST | ${objects * GET + pages * LIST:.4f} |"
                )
    return "\n".join(rows)


def counts(server):
    """How many pages and objects were asked for so far."""
    with urllib.request.urlopen(f"{server.endpoint}/counts") as answer:
        return tuple(int(number) for number in answer.read().split())
