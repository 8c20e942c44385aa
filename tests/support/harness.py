"""What every e2e script shares: a stack of its own, cases that are counted, skips with a reason. Python standard library only, but for
what holds every answer against the API's document (api_check).

A script defines functions decorated with @case and ends with main(). Each gets the script's context object (made once by `setup`, closed at the end).
"""
import os
import pathlib
import shutil
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import api_check  # noqa: E402
import licet_demo  # noqa: E402
import licet_stack  # noqa: E402

_CASES = []


class Skip(Exception):
    """The case cannot run here; the text says why."""


def case(function):
    _CASES.append(function)
    return function


class Context:
    """A stack with the demo catalogue. Kept on failure, so that its logs can be read."""

    def __init__(self, regions=("eu",), demo=True, **kw):
        name = pathlib.Path(sys.argv[0]).stem
        self.directory = ROOT / ".dev" / f"test-{name}-{os.getpid()}"
        self.stack = licet_stack.Stack(self.directory, None, regions, **kw)
        self.generator = licet_demo.load_generator()
        self.stack.start()
        if demo:
            try:
                licet_demo.load_catalogue(self.stack)
                licet_demo.await_replication(self.stack)
            except BaseException:
                self.stack.stop()
                raise

    def client(self, name, region="eu", **kw):
        return self.stack.client(region, name, **kw)

    def close(self, keep):
        problems = self.stack.stop()
        if keep:
            print(f"kept for reading: {self.directory}")
        else:
            licet_stack.remove(self.directory)
        return problems


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {short(expected)}, found {short(found)}")


def same_list(found, expected, what):
    """Lists compared with the first difference named, never dumped whole."""
    for index, (a, b) in enumerate(zip(found, expected)):
        if a != b:
            raise AssertionError(f"{what}: item {index}: expected {short(b)}, found {short(a)} (of {len(expected)} expected, {len(found)} found)")
    if len(found) != len(expected):
        extra = found[len(expected):] or expected[len(found):]
        raise AssertionError(f"{what}: expected {len(expected)} items, found {len(found)}; the first beyond is {short(extra[0])}")


def short(value):
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + "..."


def main(setup):
    """Runs the cases in order of definition. `setup` returns the context (with close(keep)) or raises Skip."""
    started = time.monotonic()
    passed = failed = skipped = 0
    context = None
    checker = api_check.install()
    try:
        context = setup()
    except Skip as e:
        print(f"skip all: {e}")
        print(f"0 passed, 0 failed, {len(_CASES)} skipped")
        return 0
    except BaseException:
        traceback.print_exc()
        print(f"0 passed, {len(_CASES)} failed")
        return 1
    try:
        for function in _CASES:
            try:
                function(context)
                passed += 1
                print(f"ok   {function.__name__}", flush=True)
            except Skip as e:
                skipped += 1
                print(f"skip {function.__name__}: {e}", flush=True)
            except Exception:  # noqa: BLE001: a case that breaks is a failure, whatever broke it
                failed += 1
                print(f"FAIL {function.__name__}", flush=True)
                traceback.print_exc(file=sys.stdout)
    finally:
        problems = context.close(keep=failed > 0)
    problems += [f"not as api/openapi.json says ({times}x): {what}" for what, times in checker.differences.items()]
    for problem in problems:
        failed += 1
        print(f"FAIL at the end: {problem}")
    print(f"took {time.monotonic() - started:.1f} s")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def copy_tree(source, target):
    shutil.copytree(source, target)
    return target
