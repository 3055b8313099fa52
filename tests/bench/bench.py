#!/usr/bin/env python3
"""Measures `config-backup report` beside what one would use instead, over the same bucket, and prints Markdown tables.

docs/dev/performance.md says what the numbers mean. `--into FILE` also puts the tables between the markers in that file.
"""

import argparse
import contextlib
import csv
import os
import pathlib
import shutil
import statistics
import sys
import time

import clients
import deployment
import memory
import servers

PHASES = ("cold", "again", "100 more")


def main():
    arguments = parse()
    until = int(time.time())
    with servers.folder() as place:
        environment = clients.environment(place / "home")
        if arguments.memory:
            name, text = "memory", memory.table(arguments, environment, place, until)
        elif arguments.scale:
            name, text = "scale", memory.growth(arguments, environment, place, until)
        elif arguments.deployment:
            name, text = "deployment", deployment.tables(arguments, environment, place)
        else:
            tables = [table(count, arguments, environment, place / str(count), until) for count in arguments.counts]
            name, text = "time", "\n\n".join(tables)
    text = f"{head(arguments)}\n\n{text}\n"
    sys.stdout.write(text)
    if arguments.into:
        replace(arguments.into, name, text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000], help="how many records")
    parser.add_argument("--trino-count", type=int, default=100_000, help="with --scale: the most records that Trino is asked about, where it is installed")
    parser.add_argument("--round-trips", type=int, nargs="+", default=[0, 33], help="milliseconds; 0 is loopback itself")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow-runs", type=int, default=3, help="runs of clients that take minutes")
    parser.add_argument("--only", default="", help="only clients whose name has this in it, for a quick look")
    parser.add_argument("--memory", action="store_true", help="measure the memory that many records take instead")
    parser.add_argument("--scale", action="store_true", help="measure how report grows with the number of records instead")
    parser.add_argument("--scale-counts", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000], help="how many records")
    parser.add_argument("--deployment", action="store_true", help="measure what a deployment costs instead")
    parser.add_argument("--memory-count", type=int, default=1_000_000)
    parser.add_argument("--into", type=pathlib.Path, help="a file whose lines between the markers are replaced")
    return parser.parse_args()


def table(count, arguments, environment, place, until):
    """One table per line over a bucket of `count` records."""
    place.mkdir()
    bucket = servers.Bucket(place, count, until)
    with bucket.server as server:
        say(f"{count} records")
        verify(bucket, environment)
        tables = []
        for round_trip in arguments.round_trips:
            with servers.line(server, round_trip) if round_trip else contextlib.nullcontext(server) as line:
                tables.append(of_line(bucket, line, round_trip, arguments, environment))
        return "\n\n".join(tables)


def verify(bucket, environment):
    """Every client must find the same rows: otherwise there is nothing to compare."""
    wanted = None
    for client in clients.clients():
        folder, run = prepared(bucket, bucket.server, client, environment)
        run()
        rows = read_rows(folder / "rows.csv")
        wanted = rows if wanted is None else wanted
        if rows != wanted or len(rows) < 100:
            raise SystemExit(f"bench: `{client.name}` has {len(rows)} rows that are not those of `report`, which has {len(wanted)}")
    say(f"all clients agree on {len(wanted)} rows")


def read_rows(path):
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return sorted(rows[1:] if rows and rows[0][0] == "timestamp" else rows)


def prepared(bucket, line, client, environment):
    """An empty folder for the client, and what runs it there."""
    folder = bucket.place / "client"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = environment | {"ENDPOINT": line.endpoint, "HOST": line.host, "DIR": str(folder)}
    return folder, lambda: servers.measure(client.command, settings)


def of_line(bucket, line, round_trip, arguments, environment):
    """All clients in turn, again and again, so that what else the machine does meets them all."""
    chosen = [client for client in clients.clients() if arguments.only in client.name]
    samples = {(client.name, phase): [] for client in chosen for phase in PHASES}
    floors = {connections: [] for connections in (64, 128, 256, 512)}
    real = servers.round_trip(line)
    for run in range(arguments.runs):
        for connections, took in floors.items():
            took.append(servers.floor(line, connections, bucket.targets(line.host)))
        for client in chosen:
            if not client.slow or run < arguments.slow_runs:
                say(f"run {run + 1}, {round_trip} ms, {client.name}")
                one_run(bucket, line, client, environment, samples)
    return rendered(bucket, chosen, samples, floors, f"{round_trip} ms" if round_trip else "loopback", real)


def one_run(bucket, line, client, environment, samples):
    _, run = prepared(bucket, line, client, environment)
    for phase in PHASES if client.keeps else PHASES[:1]:
        if phase == PHASES[2]:
            bucket.send_more("PUT")
        before, cpu, line_cpu = bucket.requests(), bucket.server.cpu(), line.cpu()
        sample = run()
        sample["operations"] = bucket.operations(before)
        sample["server"] = bucket.server.cpu() - cpu
        sample["line"] = line.cpu() - line_cpu
        samples[client.name, phase].append(sample)
        if phase == PHASES[2]:
            bucket.send_more("DELETE")


def rendered(bucket, chosen, samples, floors, line, real):
    best = min(floors, key=lambda connections: statistics.median(floors[connections]))
    floor = statistics.median(floors[best])
    rows = [
        f"#### {len(bucket.keys):,} records, {line} (a round trip with the server's part takes {real:.1f} ms)",
        "",
        "| Client | Cold | ÷ floor | Again | 100 more | CPU, cold | Memory | Requests, cold | Server's CPU |",
        "|---|--:|--:|--:|--:|--:|--:|---|--:|",
        f"| the GETs alone, {best} connections | {spread(floors[best])} | 1.0 | | | | | {len(bucket.keys)} GetObject | |",
    ]
    for client in chosen:
        cold, again, more = (samples[client.name, phase] for phase in PHASES)
        walls = [[sample["wall"] for sample in some] for some in (cold, again, more)]
        cpu, server = (statistics.median(sample[name] for sample in cold) for name in ("cpu", "server"))
        peak = max(sample["memory"] for sample in cold + again + more)
        requests = ", ".join(f"{number} {name}" for name, number in cold[-1]["operations"].items())
        rows.append(
            f"| {client.name} | {spread(walls[0])} | {statistics.median(walls[0]) / floor:.1f} | {spread(walls[1])} | {spread(walls[2])}"
            f" | {cpu:.2f} s | {peak / 1e6:.0f} MB | {requests} | {server:.2f} s |"
        )
    floor_text = ", ".join(f"{connections}: {spread(took)}" for connections, took in floors.items())
    rows += ["", f"The GETs alone by connections: {floor_text}."]
    return "\n".join(rows)


def spread(seconds):
    """The median and, in brackets, the least and the most."""
    if not seconds:
        return ""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}–{max(seconds):.2f})"


def head(arguments):
    alone = arguments.deployment or arguments.scale
    found = deployment.versions() if alone else clients.versions()
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    busy = f"{os.getloadavg()[0]:.1f}"
    runs, command = f"{arguments.runs} runs, {arguments.slow_runs} of the slow clients", "make bench"
    if arguments.memory:
        runs, command = "one run each", "make bench-memory"
    elif arguments.scale:
        runs, command = "one run each", f'make bench-scale BENCH_ARGS="--trino-count {arguments.trino_count}"'
    elif arguments.deployment:
        runs, command = f"{arguments.runs} runs", "make bench-deployment"
    return (
        f"Measured on {time.strftime('%Y-%m-%d')} with `{command}` ({runs}) on {servers.machine()}; load average at the end {busy}.\n"
        f"Versions: {versions}."
    )


def replace(path, name, text):
    begin, end = (f"<!-- {edge} {name} -->" for edge in ("begin", "end"))
    before, rest = path.read_text().split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n{text}{end}{after}")


def say(what):
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
