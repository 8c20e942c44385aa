"""Partners that count: each knows which event must come next, so that a missing, repeated or strange one is noticed when it comes. Python standard library only, and no code
shared with the server."""
import array
import collections
import http.client
import json
import os
import pathlib
import random
import re
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from licet_client import Problem  # noqa: E402

NUMBER = re.compile(rb'"id":"e(\d+)"')
CURSOR = re.compile(rb'"cursor":"([^"]+)"')
DATA = b',"data":'
GOES_BACK_AFTER = 3000  # events, on average
GOES_AWAY_AFTER = 1500
ACKS_EVERY = 40


class Gone(Exception):
    pass


class Subscriber(threading.Thread):
    """`permitted(number)`: whether the partner may receive an event. `kind`: sse, websocket or pull. `begins`: at the earliest event, or at the latest one."""

    def __init__(self, name, client, product, permitted, kind, seed, stopping, begins="earliest"):
        super().__init__(name=name, daemon=True)
        self.client, self.product, self.permitted, self.kind, self.stopping = client, product, permitted, kind, stopping
        self.random = random.Random(seed)
        self.kept = collections.deque(maxlen=400)  # (number, cursor) of the last ones
        self.begins = begins
        self.expected = self._next(-1) if begins == "earliest" else None  # what must come next
        self.lowest = None
        self.sizes = array.array("H")               # of the permitted ones from `lowest` on
        self.cursor = None
        self.highest, self.events, self.bytes = -1, 0, 0  # received for the first time
        self.replayed = self.connections = self.refused = self.acks = 0
        self.wrong = []

    def _next(self, number):
        number += 1
        while not self.permitted(number):
            number += 1
        return number

    def run(self):
        while not self.stopping.is_set():
            try:
                getattr(self, "_" + self.kind)()
            except Problem as e:
                self.refused += 1
                if e.status == 401:
                    self.client._token = None
                elif e.status not in (503, 500):
                    self.wrong.append(f"{self.name}: HTTP {e.status} {e.body[:200]}")
                self.stopping.wait(0.05)
            except (OSError, http.client.HTTPException, Gone):
                self.client.close()
                self.stopping.wait(0.02)
            except Exception as e:  # noqa: BLE001: a thread that dies must not die in silence
                self.wrong.append(f"{self.name}: {type(e).__name__}: {e}")
                return

    def _path(self, **query):
        self.connections += 1
        return self.client.events_path(self.product, from_=self.cursor or self.begins, **query)

    def _take(self, text, cursor=None):
        """One event's JSON. Everything it says is checked against what must come."""
        number = int(NUMBER.search(text)[1])
        if cursor is None:
            cursor = CURSOR.search(text)[1].decode()
        if self.lowest is None:
            self.lowest = number
        if self.expected is not None and number != self.expected:
            self.wrong.append(f"{self.name}: event {number} came where {self.expected} was due")
        self.expected = self._next(number)
        self.cursor = cursor
        if number > self.highest:
            self.highest = number
            self.events += 1
            self.sizes.append(len(text) - text.index(DATA) - len(DATA) - 1)
            self.bytes += self.sizes[-1]
            self.kept.append((number, cursor))
        else:
            self.replayed += 1

    def _leaves(self):
        """Now and then it goes away, or back to a cursor it had before: that costs nothing."""
        if self.kept and self.random.random() < 1 / GOES_BACK_AFTER:
            number, self.cursor = self.random.choice(self.kept)
            self.expected = self._next(number)
            return True
        return self.random.random() < 1 / GOES_AWAY_AFTER

    def _sse(self):
        connection = self.client._new_connection(20)
        try:
            connection.request("GET", self._path(), headers={"Accept": "text/event-stream", **self.client.authorization()})
            sock = connection.sock
            answer = connection.getresponse()
            if answer.status != 200:
                raise Problem(answer.status, answer.headers, answer.read())
            while not self.stopping.is_set():
                line = answer.readline()
                if not line:
                    return
                if line.startswith(b"id: "):
                    cursor = line[4:-1].decode()
                elif line.startswith(b"data: ") and line.endswith(b"}\n"):
                    if answer.readline() != b"\n":  # the frame is whole only with its empty line
                        return
                    self._take(line[6:-1], cursor)
                    if self._leaves():
                        sock.close()
                        return
        finally:
            connection.close()

    def _websocket(self):
        with socket.create_connection((self.client.base.hostname, self.client.base.port), 20) as sock:
            key = "dGhlIHNhbXBsZSBub25jZQ=="
            sock.sendall((f"GET {self._path()} HTTP/1.1\r\nHost: {self.client.base.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: cloudevents.json\r\n"
                          f"Authorization: {self.client.authorization()['Authorization']}\r\n\r\n").encode())
            reader = sock.makefile("rb")
            line = reader.readline()
            if not line:  # the node ended before it answered: as with the others, it is asked again
                raise Gone
            status = int(line.split(b" ")[1])
            headers = http.client.parse_headers(reader)
            if status != 101:
                raise Problem(status, headers, reader.read(int(headers.get("Content-Length", "0"))))
            while not self.stopping.is_set():
                opcode, payload = self._frame(reader)
                if opcode == 8:
                    return
                if opcode == 9:
                    self._send(sock, 10, payload)
                elif opcode == 1:
                    self._take(payload)
                    if self.events % ACKS_EVERY == 0:
                        self._send(sock, 1, json.dumps({"ack": self.cursor}).encode())
                        self.acks += 1
                    if self._leaves():
                        return

    @staticmethod
    def _frame(reader):
        head = reader.read(2)
        if len(head) < 2:
            raise Gone
        size = head[1] & 0x7F
        if size > 125:
            more = reader.read(2 if size == 126 else 8)
            if len(more) < (2 if size == 126 else 8):
                raise Gone
            size = int.from_bytes(more, "big")
        payload = reader.read(size)
        if len(payload) < size:
            raise Gone
        return head[0] & 0x0F, payload

    @staticmethod
    def _send(sock, opcode, payload):
        mask = os.urandom(4)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        sock.sendall(bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def _pull(self):
        while not self.stopping.is_set():
            # A page is received whole or not at all.
            answer = self.client.get(self._path(limit=self.random.randrange(1, 400), wait=1000), headers={"Accept": "application/x-ndjson"})
            for line in answer.body.split(b"\n"):
                if line:
                    self._take(line)
            self.cursor = answer.headers["Licet-Cursor"]
            self._leaves()


    def received(self):
        """(number, bytes) of each event it received."""
        numbers = (n for n in range(self.lowest or 0, self.highest + 1) if self.permitted(n))
        return dict(zip(numbers, self.sizes))


class Passer:
    """Takes one page of the past, and never comes back."""

    def __init__(self, client, product, events):
        answer = client.get(client.events_path(product, from_="earliest", limit=events), headers={"Accept": "application/x-ndjson"})
        self._received = {int(NUMBER.search(line)[1]): len(line) - line.index(DATA) - len(DATA) - 1 for line in answer.body.split(b"\n") if line}

    def received(self):
        return self._received


class Visitor(threading.Thread):
    """Comes for a moment, from the head or from the beginning, and leaves without a word. What it is sent the partner's subscribers receive, too."""

    def __init__(self, name, client, product, seed, stopping):
        super().__init__(name=name, daemon=True)
        self.client, self.product, self.stopping = client, product, stopping
        self.random = random.Random(seed)
        self.visits = 0

    def run(self):
        while not self.stopping.wait(self.random.uniform(0.1, 1.5)):
            try:
                with self.client.sse(self.product, timeout=5, from_=self.random.choice(("latest", "earliest"))) as stream:
                    for _, _ in zip(range(self.random.randrange(1, 60)), stream):
                        pass
                self.visits += 1
            except (OSError, http.client.HTTPException, Problem) as e:
                self.client.close()
                if isinstance(e, Problem) and e.status == 401:
                    self.client._token = None
