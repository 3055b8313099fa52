"""The peak memory of `report` over a great many records, which a synthetic S3 makes up as they are asked for."""

import clients
import servers

SPREADS = {"as it is usual": [], "a row for each record": ["--worst"]}


def table(arguments, environment, place, until):
    count = arguments.memory_count
    rows = [
        f"#### {count:,} records, 500 customers, 200 users, 3 years, loopback",
        "",
        "| Records | Run | Rows | Memory | Wall | CPU |",
        "|---|---|--:|--:|--:|--:|",
    ]
    ours = clients.clients()[0].command
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
