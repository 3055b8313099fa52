#!/usr/bin/env python3
"""Looks at what `make dist` builds for Linux x86_64: that it is complete, runs anywhere, and comes out the same elsewhere.

It builds twice: here, and in a copy of the tree in another folder with a target folder of its own.
"""

import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-musl"
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
NAME = f"config-backup-{VERSION}-{TARGET}"
EPOCH = 1_700_000_000
checks = []


def check(claim):
    """Marks a function that stands for a claim about a build."""
    return lambda function: checks.append((claim, function)) or function


def main():
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("dist.py: error: run the archive of Linux x86_64: this is another machine")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="config-backup-dist.") as world:
        build = Build(pathlib.Path(world))
        for claim, function in checks:
            try:
                function(build)
            except Exception:  # whatever goes wrong, the claim is not shown
                failed += 1
                print(f"FAILED: {claim}")
                traceback.print_exc(file=sys.stdout)
    if not shutil.which("ruby"):
        print("dist.py: the formula was not read by ruby, which is not in PATH")
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


class Build:
    """What was built here, and unpacked."""

    def __init__(self, world):
        self.world = world
        self.folder = world / "here"
        dist(ROOT, self.folder)
        self.archive = self.folder / f"{NAME}.tar.gz"
        with tarfile.open(self.archive) as archive:
            self.entries = archive.getmembers()
            self.files = {entry.name: archive.extractfile(entry).read() for entry in self.entries}
        self.program = world / "config-backup"
        self.program.write_bytes(self.files[f"{NAME}/config-backup"])
        self.program.chmod(0o755)

    def run(self, *arguments):
        """What the program says where there is nothing, not even an environment."""
        empty = self.world / "empty"
        empty.mkdir(exist_ok=True)
        command = ["env", "-i", str(self.program), *map(str, arguments)]
        return subprocess.run(command, cwd=empty, stdout=subprocess.PIPE, check=True).stdout


def dist(root, folder, **environment):
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)} | environment
    subprocess.run([root / "tools" / "dist", "--output", folder, TARGET], env=environment, check=True)


@check("SHA256SUMS has the sum of every other file, and sha256sum agrees")
def sums(build):
    others = sorted(path.name for path in build.folder.iterdir() if path.name != "SHA256SUMS")
    assert others == [f"{NAME}.tar.gz", f"config-backup-{VERSION}.cdx.json"], others
    assert [line.split("  ")[1] for line in (build.folder / "SHA256SUMS").read_text().splitlines()] == others
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=build.folder, check=True, stdout=subprocess.DEVNULL)


def verbs_of(build, *verb):
    """The verbs that the help lists."""
    text = build.run(*verb, "--help").decode()
    commands = text.split("Commands:\n")[1].split("\n\n")[0] if "Commands:\n" in text else ""
    return [name for name in re.findall(r"^  ([a-z]+) ", commands, re.M) if name != "help"]


@check("the archive has the program, the documents, completions for five shells and a manual page for each verb, and nothing else")
def contents(build):
    verbs = verbs_of(build)
    verbs += [f"{verb}-{word}" for verb in verbs for word in verbs_of(build, verb)]
    assert "report" in verbs and "iam-writer" in verbs, verbs
    shells = ["config-backup.bash", "_config-backup", "config-backup.fish", "config-backup.ps1", "config-backup.elv"]
    expected = {"config-backup", "LICENSE", "README.md", "CHANGELOG.md", "THIRD-PARTY-LICENSES.txt", "man/man1/config-backup.1"}
    expected |= {f"completions/{name}" for name in shells} | {f"man/man1/config-backup-{verb}.1" for verb in verbs}
    found = {name.removeprefix(f"{NAME}/") for name in build.files}
    assert found == expected, found ^ expected
    assert all(build.files.values()), "an empty file"
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        assert build.files[f"{NAME}/{name}"] == (ROOT / name).read_bytes(), name


@check("the archive tells nothing of who packed it, where and when")
def anonymous(build):
    assert [entry.name for entry in build.entries] == sorted(entry.name for entry in build.entries)
    for entry in build.entries:
        mode = 0o755 if entry.name == f"{NAME}/config-backup" else 0o644
        assert (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime, entry.mode) == (0, 0, "", "", EPOCH, mode), entry.get_info()
    # RFC 1952: flags, the time, extra flags and the system.
    assert build.archive.read_bytes()[3:8] == bytes(5)
    for place in (ROOT, pathlib.Path.home(), build.world):
        assert str(place).encode() + b"/" not in build.files[f"{NAME}/config-backup"], place


@check("the program is static: no interpreter and no library is loaded")
def static(build):
    elf = build.files[f"{NAME}/config-backup"]
    assert elf[:6] == b"\x7fELF\x02\x01"
    offset, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    kinds = [struct.unpack_from("<I", elf, offset + size * index)[0] for index in range(count)]
    # PT_LOAD; PT_DYNAMIC and PT_INTERP
    assert 1 in kinds and not {2, 3} & set(kinds), kinds


@check("the program runs without an environment: its version, the completions of the archive, and init into a folder")
def runs(build):
    assert build.run("--version").decode() == f"config-backup {VERSION}\n"
    assert build.run("completions", "bash") == build.files[f"{NAME}/completions/config-backup.bash"]
    folder = build.world / "airbnb"
    folder.mkdir()
    shutil.copy(ROOT / "terragrunt" / "airbnb" / "config.yaml", folder)
    build.run("init", folder)
    written = {path.name: path.read_bytes() for path in (folder / "config-backup").iterdir()}
    assert written["main.tf"] == (ROOT / "terraform" / "main.tf").read_bytes()
    subprocess.run(["sha256sum", "--check", "--strict", "unit.sha256"], cwd=folder / "config-backup", check=True, stdout=subprocess.DEVNULL)


# Another tool than the one that wrote them says what is linked.
def linked():
    command = ["cargo", "tree", "--locked", "--package", "config-backup", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--target", TARGET]
    lines = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return {tuple(line.split()[:2]) for line in lines if line} - {("config-backup", f"v{VERSION}")}


@check("the licences name every crate that is linked, and carry their texts")
def licences(build):
    text = build.files[f"{NAME}/THIRD-PARTY-LICENSES.txt"].decode()
    crates = linked()
    assert len(crates) > 150
    for name, version in crates:
        assert re.search(rf"^{re.escape(name)} {re.escape(version[1:])}: ", text, re.M), (name, version)
    for words in ("Permission is hereby granted, free of charge", "Apache License", "musl as a whole is licensed", "ISC"):
        assert words in text, words


@check("the SBOM names every crate that is linked, with the sum of the lock file")
def bill(build):
    bill = json.loads((build.folder / f"config-backup-{VERSION}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"], root["purl"]) == ("config-backup", VERSION, f"pkg:cargo/config-backup@{VERSION}")
    lock = (ROOT / "Cargo.lock").read_text()
    components = {(part["name"], f"v{part['version']}"): part for part in bill["components"]}
    assert linked() <= set(components), linked() - set(components)
    for part in components.values():
        assert part["hashes"][0]["content"] in lock and part["licenses"][0]["expression"], part
    references = {root["bom-ref"]} | {part["bom-ref"] for part in bill["components"]}
    assert {entry["ref"] for entry in bill["dependencies"]} == references
    assert all(set(entry["dependsOn"]) <= references for entry in bill["dependencies"])


@check("the formula of a release has each archive's sum and no placeholder, and ruby reads it; without a sum there is none")
def formula(build):
    sums = {target: hashlib.sha256(target.encode()).hexdigest() for target in ("aarch64-unknown-linux-musl", "x86_64-apple-darwin", "aarch64-apple-darwin")}
    path = build.world / "SHA256SUMS"
    path.write_text((build.folder / "SHA256SUMS").read_text() + "".join(f"{sum}  config-backup-{VERSION}-{target}.tar.gz\n" for target, sum in sums.items()))
    sums[TARGET] = hashlib.sha256(build.archive.read_bytes()).hexdigest()
    command = [ROOT / "tools" / "formula", VERSION]
    text = subprocess.check_output([*command, path, "https://example.com/config-backup"], text=True)
    assert "@" not in text
    pairs = re.findall(r'url "(.+)"\n +sha256 "(.+)"', text)
    base = f"https://example.com/config-backup/releases/download/v{VERSION}/config-backup-{VERSION}"
    assert dict(pairs) == {f"{base}-{target}.tar.gz": sum for target, sum in sums.items()}, pairs
    if shutil.which("ruby"):
        subprocess.run(["ruby", "-c"], input=text, text=True, check=True, stdout=subprocess.DEVNULL)
    refused = subprocess.run([*command, build.folder / "SHA256SUMS", "https://example.com/x"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert refused.returncode == 1 and "there is no SHA-256" in refused.stderr, refused


@check("another checkout, built elsewhere, gives the same bytes")
def reproducible(build):
    copy = build.world / "elsewhere" / "checkout"
    listed = subprocess.check_output(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".tools").symlink_to(ROOT / ".tools")
    there = build.world / "there"
    dist(copy, there, CARGO_TARGET_DIR=str(build.world / "elsewhere" / "output"))
    same = (there / "SHA256SUMS").read_text() == (build.folder / "SHA256SUMS").read_text()
    if not same:
        with tarfile.open(there / f"{NAME}.tar.gz") as archive:
            other = {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}
        print("these differ:", [name for name in build.files | other if build.files.get(name) != other.get(name)])
    assert same


if __name__ == "__main__":
    main()
