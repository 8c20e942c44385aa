#!/usr/bin/python3
"""Unmodified clients write to a node and read from it: the CloudEvents SDK of npm (JSON: structured, binary and batch mode, WebSocket), and with it protobufjs over the schema
that is served. tests/sdk has what they run. Skipped, never passed, where Node.js, npm or the registry is not there.
"""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import npm  # noqa: E402
from harness import ROOT, Context, Skip, case, main  # noqa: E402

PRODUCT = "newsroom"


class SdkContext(Context):
    def __init__(self):
        self.folder, why = npm.install()
        if self.folder is None:
            raise Skip(why)
        super().__init__()
        self.setting = {"url": self.stack.url("eu"), "product": PRODUCT, "proto": str(ROOT / "api" / "cloudevents.proto"),
                        "write": self.client("newsroom-desk").token(), "read": self.client("berlin-lab").token()}

    def run(self, name):
        environment = {**os.environ, "LICET_SDK": json.dumps(self.setting), "NODE_EXTRA_CA_CERTS": str(self.stack.ca)}
        done = subprocess.run(["node", "cloudevents.mjs", name], cwd=self.folder, env=environment, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0 or f"ok {name}" not in done.stdout.splitlines():
            raise AssertionError(f"{name}: {done.stdout[-3000:]}")


@case
def structured_mode(context):
    context.run("structured")


@case
def binary_mode(context):
    context.run("binary")


@case
def its_emitter(context):
    context.run("emitter")


@case
def batches(context):
    context.run("batch")


@case
def json_over_a_websocket(context):
    context.run("websocket_json")


@case
def protobuf_over_http_and_a_websocket(context):
    context.run("protobuf")


if __name__ == "__main__":
    sys.exit(main(SdkContext))
