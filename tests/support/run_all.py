#!/usr/bin/python3
"""Runs every test and counts: ctest's programs, then each script of tests/e2e. The last line is "N passed, N failed[, N skipped]"; ends non-zero when one failed.

LICET_DATA names a folder of real data and published vocabularies; the tests that can use them find theirs through a variable of its own (DATA below), which may be set alone.
A part that is missing there fails the run: tests must not shrink in silence.

A doctest program counts as its test cases, an e2e script as the cases it reports; a program that ends without a count is one test.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
E2E_TIMEOUT_SECONDS = 900
PATIENT = {"unit_delivery", "e2e_http_strict"}  # minutes of waiting, seconds of work: beside the others
DATA = {
    "LICET_WIKITICKER": "events/wikiticker/*.gz",
    "LICET_CFPB": "events/cfpb-complaints/*.ndjson.gz",
    "LICET_DOAJ": "events/doaj-journals/*.csv.gz",
    "LICET_BLNS": "robustness/blns/blns.json",
    "LICET_CSV_SPECTRUM": "metering/csv-spectrum",
    "LICET_EN16931": "metering/en16931",
    "LICET_FOCUS": "metering/focus-1.4",
    "LICET_JSON_SUITE": "robustness/json-test-suite",
    "LICET_POLICY_CASES": "policy-cases",
    "LICET_VOCAB": "vocab",
    "LICET_DECIMALS": "metering/decimal",
}


def run(name, command, timeout, env=None, cwd=ROOT):
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        code, output = -1, (e.stdout or b"").decode(errors="replace") + f"\nnot finished within {timeout} s\n"
    counts = count(output, code)
    seconds = time.monotonic() - started
    print(f"{'ok  ' if code == 0 else 'FAIL'} {name:28} {counts[0]:5} passed {counts[1]:3} failed {counts[2]:3} skipped {seconds:7.1f} s", flush=True)
    if code != 0:
        print("    " + "\n    ".join(output.splitlines()[-60:]), flush=True)
    elif counts[2]:
        print("    " + "\n    ".join(line for line in output.splitlines() if line.startswith("skip")), flush=True)
    return counts


def count(output, code):
    doctest = re.search(r"test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed(?: \|\s*(\d+) skipped)?", re.sub(r"\x1b\[[0-9;]*m", "", output))
    if doctest:
        passed, failed, skipped = int(doctest[2]), int(doctest[3]), int(doctest[4] or 0)
    else:
        own = re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", output, re.M)
        if own:
            passed, failed, skipped = int(own[1]), int(own[2]), int(own[3] or 0)
        else:
            passed, failed, skipped = (1, 0, 0) if code == 0 else (0, 1, 0)
    if code != 0 and failed == 0:
        failed = 1  # crashed before it could count
    return passed, failed, skipped


def real_data(folder):
    """The variables of DATA with what they name in the folder."""
    out = {}
    for variable, pattern in DATA.items():
        found = sorted(pathlib.Path(folder).resolve().glob(pattern))
        if not found:
            sys.exit(f"LICET_DATA: {folder} has no {pattern}")
        out[variable] = str(found[0])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    build = (ROOT / arguments.build).resolve()
    if os.environ.get("LICET_DATA"):
        os.environ.update(real_data(os.environ["LICET_DATA"]))
    listed = json.loads(subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"], capture_output=True, check=True).stdout)
    jobs = []
    for test in listed["tests"]:
        if arguments.filter not in test["name"] or "command" not in test:
            continue
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        env = {**os.environ, **dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))}
        jobs.append((test["name"], test["command"], float(properties.get("TIMEOUT", 600)), env, properties.get("WORKING_DIRECTORY", ROOT)))
    for script in sorted((ROOT / "tests" / "e2e").glob("*.py")):
        name = "e2e_" + script.stem
        if arguments.filter not in name:
            continue
        jobs.append((name, ["/usr/bin/python3", str(script)], E2E_TIMEOUT_SECONDS, {**os.environ, "LICET_BINARY": str(build / "licet")}))
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        waiting = [beside.submit(run, *job) for job in jobs if job[0] in PATIENT]
        results = [run(*job) for job in jobs if job[0] not in PATIENT] + [w.result() for w in waiting]
    total = [sum(column) for column in zip(*results)] or [0, 0, 0]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""), flush=True)
    return 1 if total[1] or total[0] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
