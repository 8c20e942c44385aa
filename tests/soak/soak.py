#!/usr/bin/python3
"""The soak test: one node with PostgreSQL and Redis, at half of what it can take, while subscribers read slowly, disconnect and resume, and policies, consents,
contracts and tokens change. tests/soak/soak_client.cc publishes, subscribes, changes and judges; this starts the parts, watches the node's memory and compares the ledger with
what the clients counted. Ends with one JSON line and with 1 when anything is broken. README.md says what is held.
"""
import argparse
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT, licet_stack  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
import plan  # noqa: E402
import watch  # noqa: E402

BROKEN = ("gap", "duplicate", "before since, or a duplicate", "after until", "late", "not redacted", "outdated policy", "size", "malformed", "invented", "incomplete", "refused",
          "closed")


class Stack(licet_stack.Stack):
    """One node with one shard on a core of its own, without TLS; everything else shares the other cores."""

    def __init__(self, directory, keep_core):
        super().__init__(directory, None, ["eu"])
        self.cores = sorted(os.sched_getaffinity(0))
        self.apart = keep_core and len(self.cores) > 1

    def url(self, region):
        return f"http://127.0.0.1:{self.ports[region]}"

    def write_config(self, region, extra="", **kw):
        super().write_config(region, extra, **kw)
        path = self.config(region)
        lines = [line for line in path.read_text().splitlines() if not line.startswith("tls_")]
        path.write_text("\n".join(lines).replace("[node]\n", "[node]\nshards = 1\n") + "\n")

    def launch(self, region):
        if self.apart:
            os.sched_setaffinity(0, self.cores[:1])
        try:
            return super().launch(region)
        finally:
            if self.apart:
                os.sched_setaffinity(0, self.cores[1:])


class Client:
    """soak_client and what it tells."""

    def __init__(self, command, errors, node_pid):
        self.node_pid, self.cpu = node_pid, {}  # of node and client when each phase began
        self.errors = open(errors, "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True, preexec_fn=licet_stack.die_with_parent(signal.SIGKILL))
        self.told, self.phases, self.measuring = {}, {}, threading.Event()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        shown = time.monotonic()
        for line in self.process.stdout:
            self.told = json.loads(line)
            phase = self.told["phase"]
            if phase:
                self.phases[phase] = self.told
                try:
                    self.cpu[phase] = (time.monotonic(), watch.cpu_seconds(self.node_pid), watch.cpu_seconds(self.process.pid))
                except (OSError, ValueError):
                    pass  # the node is gone: others notice
            if phase == "measuring":
                self.measuring.set()
            if phase or time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(" ".join(f"{k}={self.told[k]}" for k in ("phase", "seconds", "events", "rate", "deliveries", "streaming", "disconnects", "slow", "policies", "wrong")), flush=True)
        self.measuring.set()
        self.phases.setdefault("draining", {})

    def busy(self, phase, until):
        """Cores used by [node, client] from one phase to another."""
        if phase not in self.cpu or until not in self.cpu:
            return None
        a, b = self.cpu[phase], self.cpu[until]
        return [round((y - x) / (b[0] - a[0]), 2) for x, y in zip(a[1:], b[1:])]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.thread.join(5)
        self.errors.close()


def usage(stack, began):
    """(contract, product) -> [events, bytes] as the finance API reports, all days summed, and whether all books are balanced."""
    finance = stack.client("eu", "finance")
    out, balanced = {}, True
    for period in sorted({began.strftime("%Y-%m"), datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")}):
        report = finance.get(f"/v1/finance/usage?period={period}&group=contract,product,day&format=json").json()
        for line in report["lines"]:
            sums = out.setdefault((line["contract"], line["product"]), [0, 0])
            sums[0] += line["events"]
            sums[1] += line["bytes"]
        balanced = balanced and all(b["balanced"] and b["unbilled"] in (0, {"events": 0, "bytes": 0}) for b in report["books"])
    finance.close()
    return out, balanced


def differences(taken, billed):
    """Where the ledger is not what the clients counted, to the event and byte; of what may be withheld and delivered later, the ledger may count less, but never
    less than what nobody ever withheld."""
    wrong = []
    for line in taken:
        events, octets = billed.get((line["contract"], line["product"]), (0, 0))
        counted = (line["events"], line["bytes"])
        least = counted if line["exact"] else (line["certain_events"], line["certain_bytes"])
        if not (least[0] <= events <= counted[0] and least[1] <= octets <= counted[1]):
            wrong.append(f"usage of {line['contract']}, {line['product']}: billed {(events, octets)}, clients counted {counted}, of them certain {least}")
    return wrong


def compare(stack, told, began):
    """Awaits the flush of the last usage; returns (figures, what is wrong)."""
    billed, balanced = {}, False

    def agreed():
        nonlocal billed, balanced
        billed, balanced = usage(stack, began)
        return not differences(told["taken"], billed)
    try:
        await_condition("the ledger", agreed, 60, 0.5)
    except TimeoutError:
        pass
    wrong = differences(told["taken"], billed)
    if not balanced:
        wrong.append("the books are not balanced")

    def total(index, exact):
        names = {(t["contract"], t["product"]) for t in told["taken"] if t["exact"] == exact}
        return sum(v[index] for k, v in billed.items() if k in names)

    def counted(name, exact):
        return sum(t[name] for t in told["taken"] if t["exact"] == exact)
    figures = {"equal": not wrong, "billed_events": total(0, True), "counted_events": counted("events", True), "billed_bytes": total(1, True),
               "counted_bytes": counted("bytes", True),
               "wavering": {"billed_events": total(0, False), "counted_events": counted("events", False), "certain_events": counted("certain_events", False)}}
    return figures, wrong


def ledger_at_rest(stack):
    """After the node stopped in order: nothing is open, and the rows say what the report said."""
    database = stack.database("eu")
    wrong = []
    for what, sql in (("suspense", "SELECT coalesce(sum(offsets), 0) FROM usage_suspense_offsets"), ("unbilled rows", "SELECT count(*) FROM usage_unbilled"),
                      ("unbalanced lines", "SELECT count(*) FROM usage_balance WHERE delivered_events <> billed_events + unbilled_events OR delivered_bytes <> billed_bytes + unbilled_bytes")):
        found = stack.psql(database, sql)
        if found != "0":
            wrong.append(f"{what} in the ledger: {found}")
    sums = stack.psql(database, "SELECT sum(events), sum(bytes), count(*) FROM usage_billed").split("|")
    return [int(x or 0) for x in sums], wrong


def run(stack, arguments, wrong):
    path = plan.load(stack)
    pid = stack.nodes["eu"].pid
    before = watch.sample(pid)
    began = datetime.datetime.now(datetime.timezone.utc)
    short = arguments.seconds < 600
    warm_up = arguments.warm_up if arguments.warm_up is not None else 6 if short else 30
    subscribers = arguments.subscribers or (112 if arguments.seconds < 60 else 600)
    command = [str(arguments.client), "--port", str(stack.ports["eu"]), "--plan", str(path), "--seconds", str(arguments.seconds), "--warm-up", str(warm_up),
               "--subscribers", str(subscribers), "--replays", str(max(4, subscribers // 40)), "--rate", str(arguments.rate), "--rest", "8" if short else "60",
               "--pace", "0.2" if short else "1", "--seed", str(arguments.seed)]
    client = Client(command, stack.dir / "client.err", pid)
    node = stack.nodes["eu"]
    disk = {}
    try:
        client.measuring.wait()
        disk = {"log": watch.folder_bytes(stack.node_dir("eu") / "log"), "journal": watch.folder_bytes(stack.node_dir("eu") / "journal")}
        watching = watch.Watch(pid, 1 if arguments.seconds < 120 else 5)
        while "draining" not in client.phases and client.process.poll() is None and node.running():
            time.sleep(0.5)
        watching.end()
        watching.write(stack.dir / "memory.csv")
        if arguments.samples:
            watching.write(arguments.samples)
        # The drain has its own limit; what it waits for beyond is named by the client.
        while client.process.poll() is None and node.running():
            time.sleep(0.1)
    finally:
        client.end()
    told = client.told
    errors = (stack.dir / "client.err").read_text(errors="replace").splitlines()
    if errors:
        print("\n".join(errors[:60]), flush=True)
    if not node.running():
        wrong.append(f"the node ended with {node.popen.returncode}: {node.tail()}")
        return {**told}
    if told.get("phase") != "last":
        wrong.append(f"the client ended with {client.process.returncode} before its last line")
        return {**told}
    wrong += [f"{told[what]} x {what}" for what in BROKEN if told[what]]
    if told["changes_refused"]:
        wrong.append(f"{told['changes_refused']} changes were refused")
    for what in ("disconnects", "slow", "replays", "policies", "withdrawals", "revocations", "suspensions"):
        if not told[what]:
            wrong.append(f"{what}: none; nothing was tested")
    memory, grown = watch.judge(watching.samples, arguments.seconds, arguments.tolerance / 100)
    wrong += grown
    used, unequal = compare(stack, told, began)
    wrong += unequal
    after = {}

    def left():
        # Keep-alive connections of this program and of the node to its own parts come and go by a few.
        after.update(watch.sample(pid))
        return after["sockets"] <= before["sockets"] + 16
    try:
        await_condition("the subscribers' sockets to go", left, 90, 0.5)
    except TimeoutError as error:
        wrong.append(f"{error}: {before['sockets']} before, {after['sockets']} after")
    disk = {name: [size, watch.folder_bytes(stack.node_dir("eu") / name)] for name, size in disk.items()}
    figures = {"subscribers": subscribers, "seed": arguments.seed, "events": told["events"], "events_per_s": told["rate"], "capacity_events_per_s": told["capacity"],
               "duration": told["measured_seconds"], "node_and_client_cpu": client.busy("measuring", "draining"),
               "at_full_load_cpu": client.busy("full load", "settling"), "deliveries": told["deliveries"], "deliveries_per_s": told["deliveries_per_s"],
               "delivered_bytes": told["delivered_bytes"], "gaps": told["gap"], "duplicates": told["duplicate"] + told["before since, or a duplicate"], "late": told["late"],
               "usage": used, "latency_us": told["latency_us"], "kept_up_us": told["kept_up_us"], "memory": memory, "disk_bytes": disk,
               "after": {name: after[name] for name in ("rss", "threads", "sockets", "files")}}
    for name in ("connections", "disconnects", "ways", "slow", "replays", "rewinds", "acks", "pages", "compressed", "passed_over", "policies", "withdrawals", "givings", "suspensions",
                 "revocations", "tokens", "uncertain", "posts_retried", "answers", "close_codes"):
        figures[name] = told[name]
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", default=os.environ.get("LICET_SOAK_CLIENT") or ROOT / "build" / "release" / "tests" / "soak_client")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--warm-up", type=int, help="seconds of full load, of which half is the load afterwards")
    parser.add_argument("--subscribers", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0, help="events per second, instead of half of what the warm-up shows")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--tolerance", type=float, default=3, help="per cent the memory may grow by between the second and the last quarter")
    parser.add_argument("--samples", help="where to keep the samples of memory (CSV)")
    parser.add_argument("--keep", action="store_true", help="keep the stack's directory")
    parser.add_argument("--share", action="store_true", help="no core of its own for the node")
    arguments = parser.parse_args()
    directory = ROOT / ".dev" / f"soak-{os.getpid()}"
    stack = Stack(directory, not arguments.share)
    print(f"seed {arguments.seed}", flush=True)
    stack.start()
    wrong, figures = [], {}
    try:
        figures = run(stack, arguments, wrong)
        if "eu" in stack.nodes and stack.nodes["eu"].running():
            code = stack.stop_node("eu")
            if code != 0:
                wrong.append(f"the node's stop ended with {code}")
            if figures.get("usage"):
                rows, open_ = ledger_at_rest(stack)
                wrong += open_
                figures["usage"]["ledger_rows"] = rows[2]
                expected = figures["usage"]["billed_events"] + figures["usage"]["wavering"]["billed_events"]
                if rows[0] != expected:
                    wrong.append(f"the ledger's rows count {rows[0]} events, its report {expected}")
    except (Problem, OSError, licet_stack.StackError, AssertionError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    finally:
        bad = stack.stop()
    wrong += [f"at the end: {b}" for b in bad]
    for text in wrong:
        print("FAIL " + text)
    if wrong or arguments.keep:
        print(f"kept for reading: {directory}")
    else:
        licet_stack.remove(directory)
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed")
    print(json.dumps({**figures, "ok": not wrong}), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
