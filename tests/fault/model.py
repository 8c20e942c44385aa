#!/usr/bin/python3
"""Searches docs/models/revocation.pml with spin: what is modelled as built must hold in every state, and each mutation must be caught, or the search proves
nothing. Bounded in time and memory; a search that did not come to its end is a failure."""
import pathlib
import re
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "models" / "revocation.pml"
SECONDS = 240
MEGABYTES = 1500
# As built: exhaustive. Mutated: breadth first, so that the trace found is a shortest one.
SAFETY, SHORTEST, LIVENESS = ["-DSAFETY", "-DCOLLAPSE"], ["-DSAFETY", "-DBFS"], ["-DNFAIR=3"]
RUNS = [
    ("as built", [], SAFETY, ["-m200000"], True),
    ("as built, a barrier is answered when nobody fails", ["-DLIVE"], LIVENESS, ["-a", "-f", "-m200000"], True),
    ("a node that nobody ends", ["-DNO_FENCE"], SHORTEST, [], False),
    ("a lease counted for longer than Redis counts it", ["-DNO_MARGIN"], SHORTEST, [], False),
    ("acknowledged before the shard has applied it", ["-DACK_WHEN_GIVEN"], SHORTEST, [], False),
    ("delivery opened without reading under the lease", ["-DOPENS_UNREAD"], SHORTEST, [], False),
    ("a fence set outside the gate's mutex", ["-DARMS_OUTSIDE"], SHORTEST, [], False),
    ("a fence lifted by any close", ["-DANY_CLOSE"], SHORTEST, [], False),
    ("a Redis trusted that came back with an old copy", ["-DTRUSTS_A_COPY"], SHORTEST, [], False),
    ("a node that never looks for changes gives its lease up", ["-DLIVE", "-DNEVER_LOOKS"], LIVENESS, ["-a", "-f", "-m200000"], True),
    ("one that never looks and keeps its lease", ["-DLIVE", "-DNEVER_LOOKS", "-DNEVER_GIVES_UP"], LIVENESS, ["-a", "-f", "-m200000"], False),
    ("one that never gives its lease up, but looks", ["-DLIVE", "-DNEVER_GIVES_UP"], LIVENESS, ["-a", "-f", "-m200000"], True),
]


def search(directory, defines, build, options):
    """(errors, states stored, text)."""
    def run(*command):
        return subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=True).stdout
    run("spin", "-a", *defines, str(MODEL))
    run("gcc", "-O2", "-w", f"-DMEMLIM={MEGABYTES}", *build, "-o", "pan", "pan.c")
    # -E: processes of a node that was ended stand still where they are.
    text = run("./pan", "-E", "-w22", *options)
    errors, states = re.search(r"errors: (\d+)", text), re.search(r"(\d+) states, stored", text)
    whole = "max search depth too small" not in text and "out of memory" not in text and "search terminated" not in text.lower()
    if not errors or not states or not whole:
        raise RuntimeError("the search did not come to its end:\n" + text)
    return int(errors[1]), int(states[1]), text


def main():
    failed = 0
    for name, defines, build, options, holds in RUNS:
        with tempfile.TemporaryDirectory(prefix="licet-model-") as directory:
            try:
                errors, states, text = search(directory, defines, build, options)
            except (subprocess.SubprocessError, RuntimeError, OSError) as e:
                errors, states, text = -1, 0, f"{e}\n{getattr(e, 'output', '') or ''}"
        right = errors == 0 if holds else errors > 0
        failed += not right
        print(f"{'ok  ' if right else 'FAIL'} {name}: {states} states, {'nothing forbidden' if errors == 0 else 'caught' if errors > 0 else 'not searched'}", flush=True)
        if not right:
            print(text)
    print(f"{len(RUNS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
