"""What a deployment costs: each step of the helper by itself, and a whole apply of the unit beside one of a unit that does nothing."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import time

import clients
import servers

HELPER = clients.RELEASE / "config-backup"
TOOLS = clients.ROOT / ".tools"
# It asks for a provider, too, and starts none: in a folder without providers Terragrunt runs `init` before each apply.
NULL_UNIT = """terraform {
  required_providers {
    external = {
      source = "hashicorp/external"
    }
  }
}

resource "terraform_data" "nothing" {
  triggers_replace = [timestamp()]

  provisioner "local-exec" {
    command = "true"
    quiet   = true
  }
}
"""
STEPS = ("context", "deploy")
CASES = ("the config is the bucket's", "the config changed")


def versions():
    """The version of each program that takes part, by name."""
    commands = {
        "config-backup": [HELPER, "--version"],
        "terragrunt": [TOOLS / "bin/terragrunt", "--version"],
        "OpenTofu": [TOOLS / "bin/tofu", "version"],
    }
    return clients.asked(commands, os.environ | {"CHECKPOINT_DISABLE": "1"})


class Customer:
    """A folder with the sample's config and root.hcl, our unit and one that does nothing; the state is in the bucket."""

    def __init__(self, place, line, environment):
        self.folder = place / "airbnb"
        self.folder.mkdir(parents=True)
        for name in ("config.yaml", "root.hcl"):
            shutil.copy(clients.ROOT / "terragrunt/airbnb" / name, self.folder / name)
        null = self.folder / "null"
        null.mkdir()
        (null / "main.tf").write_text(NULL_UNIT)
        (null / "terragrunt.hcl").write_text('include "root" {\n  path = find_in_parent_folders("root.hcl")\n}\n')
        home = place / "home"
        self.environment = clients.environment(home) | {
            "PATH": f"{clients.RELEASE}:{TOOLS / 'bin'}:{environment['PATH']}",
            "TF_CLI_CONFIG_FILE": str(TOOLS / "tofurc"),
            "TG_TF_PATH": str(TOOLS / "bin/tofu"),
            "AWS_ENDPOINT_URL_S3": line.endpoint,
            "AWS_ENDPOINT_URL_STS": line.endpoint,
            "CHECKPOINT_DISABLE": "1",
            "TG_TELEMETRY_TRACE_EXPORTER": "none",
        }
        # The sample's profile is the default one.
        (home / ".aws/credentials").write_text(f"[default]\naws_access_key_id = {clients.ACCESS_KEY}\naws_secret_access_key = {clients.SECRET_KEY}\n")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[name]
        subprocess.run([HELPER, "init", self.folder], env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.edits = 0

    def edit(self):
        """Another config than all before."""
        self.edits += 1
        with (self.folder / "config.yaml").open("a") as config:
            config.write(f"# {self.edits}\n")

    def apply(self, unit):
        """The wall seconds of one apply of a unit."""
        next_second()
        command = f"terragrunt apply --non-interactive --working-dir='{self.folder / unit}' -auto-approve"
        return servers.measure(command, self.environment)

    def step(self, verb, request):
        """One step of the helper, as Terraform calls it; gives what was measured and what it answered."""
        path, answer = self.folder / f"{verb}.json", self.folder / f"{verb}.answer"
        path.write_text(json.dumps(request))
        return servers.measure(f"config-backup {verb} <'{path}' >'{answer}'", self.environment), answer.read_text()

    def steps(self, changed):
        """All steps of one deployment by themselves."""
        query = {"config_file_path": str(self.folder / "config.yaml"), "timeout": "10"}
        next_second()
        samples = {}
        samples["context"], answer = self.step("context", query)
        planned = json.loads(answer)
        if planned["status"] != "ok" or (planned["backup_key"] == "") != changed:
            raise SystemExit(f"bench: the plan says {answer}")
        kept = ("deployment_id", "backup_id", "backup_key", "config_hash", "spent_ms")
        request = query | {name: planned[name] for name in kept}
        request |= {"plan_status": planned["status"], "planned_id": planned["deployment_id"]}
        samples["deploy"], answer = self.step("deploy", {"request": json.dumps(request)})
        if json.loads(answer)["status"] != "ok":
            raise SystemExit(f"bench: `deploy` answers {answer}")
        return samples


def next_second():
    """A record whose second another one has already asks once more for a name: that is no part of a usual deployment."""
    time.sleep(1 - time.time() % 1)


def tables(arguments, environment, place):
    """One table of the steps and one of whole applies, each with a column per line."""
    log = place / "log"
    data = place / "s3"
    server = servers.Program(clients.RELEASE / "embedded-aws", "--data", data, "--bucket", clients.BUCKET, "--log", log)
    found = {}
    with server:
        for round_trip in arguments.round_trips:
            with servers.line(server, round_trip) if round_trip else contextlib.nullcontext(server) as line:
                customer = Customer(place / str(round_trip), line, environment)
                found[round_trip] = measured(customer, arguments.runs, log)
                found[round_trip]["real"] = servers.round_trip(line)
    return f"{of_steps(found)}\n\n{of_applies(found)}"


def measured(customer, runs, log):
    # Once each, so that what is downloaded, noted or made once is no part of it.
    for unit in ("null", "config-backup"):
        customer.apply(unit)
    found = {"steps": {case: [] for case in CASES}, "null": [], **{case: [] for case in CASES}, "requests": {}}
    for _ in range(runs):
        found["null"].append(customer.apply("null"))
        found[CASES[0]].append(customer.apply("config-backup"))
        customer.edit()
        found[CASES[1]].append(customer.apply("config-backup"))
        found["steps"][CASES[0]].append(customer.steps(changed=False))
        customer.edit()
        before = log.stat().st_size
        found["steps"][CASES[1]].append(customer.steps(changed=True))
        with log.open("rb") as lines:
            lines.seek(before)
            found["requests"] = [json.loads(line)["operation"] for line in lines]
    return found


def median(samples, name="wall"):
    return statistics.median(sample[name] for sample in samples)


def of_steps(found):
    lines = list(found)
    rows = [
        "| Step | " + " | ".join(f"Wall, {name(line)}" for line in lines) + " | Round trips | CPU | Memory |",
        "|---|" + "--:|" * (len(lines) + 3),
    ]
    for case in CASES:
        for step in STEPS:
            samples = {line: [one[step] for one in found[line]["steps"][case] if step in one] for line in lines}
            if not samples[lines[0]]:
                continue
            walls = [median(samples[line]) for line in lines]
            trips = round((walls[-1] - walls[0]) * 1000 / found[lines[-1]]["real"], 1) + 0.0 if len(lines) > 1 else 0
            cpu, memory = median(samples[lines[0]], "cpu"), max(sample["memory"] for sample in samples[lines[0]])
            cells = " | ".join(f"{wall * 1000:.0f} ms" for wall in walls)
            rows.append(f"| `{step}`, {case} | {cells} | {trips:.1f} | {cpu * 1000:.0f} ms | {memory / 2**20:.1f} MiB |")
    return "\n".join(rows)


def of_applies(found):
    lines = list(found)
    rows = [
        "| `terragrunt apply` of one unit | " + " | ".join(f"Wall, {name(line)}" for line in lines) + " | Round trips | CPU |",
        "|---|" + "--:|" * (len(lines) + 2),
    ]
    null = {line: median(found[line]["null"]) for line in lines}
    for label, key in (("one that does nothing", "null"), *((f"config-backup, {case}", case) for case in CASES)):
        walls = {line: median(found[line][key]) for line in lines}
        added = [walls[line] - null[line] for line in lines]
        trips = "" if key == "null" or len(lines) == 1 else f"{(added[-1] - added[0]) * 1000 / found[lines[-1]]['real']:.1f}"
        cells = " | ".join(f"{walls[line]:.3f} s" + (f" (+{more * 1000:.0f} ms)" if key != "null" else "") for line, more in zip(lines, added, strict=True))
        rows.append(f"| {label} | {cells} | {trips} | {median(found[lines[0]][key], 'cpu'):.2f} s |")
    trips = ", ".join(f"{name(line)}: {found[line]['real']:.1f} ms" for line in lines)
    requests = found[lines[-1]]["requests"]
    return "\n".join([*rows, "", f"A request and its answer take: {trips}. A deployment of a changed config makes {len(requests)} requests: {', '.join(requests)}."])


def name(line):
    return f"{line} ms" if line else "loopback"
