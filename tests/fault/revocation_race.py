#!/usr/bin/python3
"""The revocation barrier against three nodes of one region, PostgreSQL and Redis, all real processes, while they are disturbed: nodes stopped (SIGSTOP) for less
and for more than a lease, Redis killed and started again empty, a node killed. tests/fault/revocation_race.cc publishes, subscribes, withdraws and judges.

Without arguments: the short form of the test run. --withdrawals 100000 --batch 16 is the long form. --latency measures the call undisturbed, with --nodes and
--subscribers, and ends with one JSON line.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import ROOT, licet_demo, licet_stack  # noqa: E402
from licet_client import await_condition  # noqa: E402

LEASE_MS = 3000


class Region(licet_stack.Stack):
    """Nodes eu, eu2, .. of one region, without TLS: what the kernel took is then counted in the bytes the subscriber sees."""

    def __init__(self, directory, nodes):
        super().__init__(directory, None, ["eu", *(f"eu{n}" for n in range(2, nodes + 1))], with_redis=nodes > 1)

    def url(self, region):
        return f"http://127.0.0.1:{self.ports[region]}"

    def database(self, region):
        return "licet_eu"

    def write_config(self, region, extra=""):
        nodes, self.regions = self.regions, [region]
        super().write_config(region, extra)
        self.regions = nodes
        path = self.config(region)
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("tls_", "authored_in", "replicate_from"))]
        text = "\n".join(lines) + "\n"
        text = text.replace(f'region = "{region}"', 'region = "eu"').replace("lease_ms = 3000", f"lease_ms = {LEASE_MS}").replace("[node]\n", "[node]\nshards = 2\n")
        path.write_text(text)

    def load(self):
        nodes, self.regions = self.regions, ["eu"]
        licet_demo.load_catalogue(self)
        self.regions = nodes

    def restart_redis(self):
        """kill -9, then an empty one."""
        redis = next(s for s in self.services if s.name == "redis")
        redis.kill()
        self.services.remove(redis)
        time.sleep(random.choice((0.0, 0.3, 1.0)))
        self._start_redis()


class Client:
    """The measuring program and what it last told."""

    def __init__(self, program, stack, arguments):
        env = {**os.environ}
        for name, client in (("RACE_DESK", "newsroom-desk"), ("RACE_READER", "berlin-lab"), ("RACE_DPO", "dpo")):
            env[name] = stack.client("eu", client).token()
        ports = ",".join(str(stack.ports[r]) for r in stack.regions)
        command = [program, "--nodes", ports, *arguments]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=licet_stack.die_with_parent(signal.SIGKILL))
        self.told, self.done, self.ready = {}, threading.Event(), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.told = json.loads(line)
            self.ready.set()
        self.done.set()

    def say(self, *words):
        try:
            self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass


def disturb(stack, client, seed, counts):
    """Until the client is done; it may end when each kind was seen twice. One thing at a time, a rest between."""
    dice = random.Random(seed)
    round_ = []

    def revive(node):
        """A node stopped for longer than its lease was ended by its fence, or goes on; either way it serves again."""
        if not stack.nodes[node].running():
            counts["ended_by_fence" if stack.nodes[node].popen.returncode == -signal.SIGKILL else "died"] += 1
            stack.nodes.pop(node)
            stack.start_node(node)

    while not client.done.wait(dice.uniform(0.5, 2.0)):
        if not round_:
            if counts["redis"] >= 2:
                client.say("release")
            round_ = ["stop_short", "stop_long", "stop_long", "redis", "kill"]
            dice.shuffle(round_)
        what = round_.pop()
        node = dice.choice(stack.regions[1:])
        port = stack.ports[node]
        counts[what] += 1
        client.say("noisy")
        if what == "redis":
            stack.restart_redis()
        else:
            # Half of the time a call may be under way at the node that is disturbed.
            if dice.random() < 0.5:
                client.say("avoid", port)
            pid = stack.nodes[node].pid
            if what == "kill":
                stack.kill_node(node)
                client.say("avoid", port)
                stack.start_node(node)
            else:
                os.kill(pid, signal.SIGSTOP)
                client.say("avoid", port)
                lease = LEASE_MS / 1000
                client.done.wait(dice.uniform(0.05, 0.4) * lease if what == "stop_short" else dice.uniform(1.1, 2.0) * lease)
                if stack.nodes[node].running():
                    os.kill(pid, signal.SIGCONT)
                if what == "stop_long":
                    client.done.wait(0.5)
                revive(node)
            client.say("use", port)
        client.say("quiet")


def judge(told, code, wanted, disturbed):
    """What must hold of the last line; returns what does not."""
    wrong = []
    if not told.get("last"):
        wrong.append(f"the client ended with {code} before its last line")
    if told.get("violations", 1) != 0:
        wrong.append(f"{told.get('violations')} events of people whose withdrawal was acknowledged")
    if told.get("withdrawals", 0) < wanted:
        wrong.append(f"{told.get('withdrawals')} withdrawals acknowledged, not {wanted}")
    if disturbed and told.get("late_for_the_call", 0) == 0:
        wrong.append("the control found nothing: no event was late even for the call")
    if disturbed and told.get("pages", 0) == 0:
        wrong.append("no page was read")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", default=os.environ.get("LICET_RACE_CLIENT") or ROOT / "build" / "release" / "tests" / "fault_revocation_race")
    parser.add_argument("--withdrawals", type=int, default=600)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--subscribers", type=int, default=24)
    parser.add_argument("--slow", type=int, default=6)
    parser.add_argument("--rate", type=int, default=1000, help="events per second and node")
    parser.add_argument("--withdrawers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4, help="people withdrawn by one call, at most")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--latency", action="store_true", help="nothing is disturbed")
    arguments = parser.parse_args()
    directory = ROOT / ".dev" / f"race-{os.getpid()}"
    stack = Region(directory, arguments.nodes)
    counts = {"stop_short": 0, "stop_long": 0, "redis": 0, "kill": 0, "ended_by_fence": 0, "died": 0}
    print(f"seed {arguments.seed}", flush=True)
    stack.start()
    wrong = []
    try:
        stack.load()
        client = Client(arguments.client, stack, [word for name in ("withdrawals", "subscribers", "slow", "rate", "withdrawers", "batch")
                                                   for word in (f"--{name}", str(getattr(arguments, name)))])
        try:
            if not client.ready.wait(120):
                raise AssertionError("the subscribers do not stream")
            if arguments.latency:
                client.say("release")
                client.done.wait()
            else:
                disturb(stack, client, arguments.seed, counts)
            code = client.process.wait(60)
            wrong += judge(client.told, code, arguments.withdrawals, not arguments.latency)
            if counts["died"]:
                wrong.append(f"{counts['died']} nodes ended by themselves")
        finally:
            client.process.kill()
        figures = {**client.told, "disturbed": counts, "nodes": arguments.nodes, "subscribers": arguments.subscribers}
        print(json.dumps(figures), flush=True)
    finally:
        bad = stack.stop()
    wrong += [f"at the end: {b}" for b in bad]
    for text in wrong:
        print("FAIL " + text)
    if wrong:
        print(f"kept for reading: {directory}")
    else:
        licet_stack.remove(directory)
    if not arguments.latency:
        print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
