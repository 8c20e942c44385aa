#!/usr/bin/python3
"""RFC 6455 and RFC 7692 against a real node: what Autobahn's fuzzing client sends a server, sent here and held against what a stream must do with it. A
subscriber's only message is {"ack": cursor}: where Autobahn expects its text echoed, here an ack is taken (the stream goes on) and any other text is
refused as such (1003), which tells well-formed text (1003) from malformed (1007) and broken frames (1002).

Each exchange has a connection of its own, is sent whole, byte by byte, or cut at random, and ends with a clean close, or with the close code it must have.
"""
import itertools
import json
import os
import pathlib
import random
import socket
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, main  # noqa: E402
from licet_client import Problem  # noqa: E402

PRODUCT = "newsroom"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FIN, RSV1 = 0x80, 0x40
MESSAGE_MAX = 64 * 1024
ACK_MAX = 512


def frame(first, payload=b"", mask=None, masked=True):
    mask = os.urandom(4) if mask is None else mask
    size, bit = len(payload), 0x80 if masked else 0
    head = bytes([first])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    return head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if masked else payload)


def close_frame(code=1000, reason=b""):
    return frame(FIN | CLOSE, struct.pack(">H", code) + reason)


def fragments(opcode, *payloads, first=0):
    """A message in as many frames."""
    last = len(payloads) - 1
    return b"".join(frame((FIN if i == last else 0) | (opcode | first if i == 0 else 0), p) for i, p in enumerate(payloads))


class Peer:
    """A connection that sends what it is told and notes what comes back."""

    def __init__(self, context, extensions=None):
        client = context.client("berlin-lab")
        self.socket = client.websocket(PRODUCT, timeout=20, extensions=extensions)
        self.pongs, self.events, self.code = [], 0, None

    def send(self, data, how):
        sock = self.socket.sock
        try:
            if how == "whole":
                sock.sendall(data)
            elif how == "bytes":
                for i in range(min(len(data), 400)):
                    sock.sendall(data[i:i + 1])
                sock.sendall(data[400:])
            else:
                dice, at = random.Random(len(data)), 0
                while at < len(data):
                    size = dice.randint(1, 1000)
                    sock.sendall(data[at:at + size])
                    at += size
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had seen enough: what it answered is read below

    def read(self, until_pong=None):
        """To the close frame and the end of the connection, or to a pong."""
        while True:
            try:
                _, opcode, payload = self.socket._frame()
            except (ConnectionError, socket.timeout, OSError) as error:
                if isinstance(error, socket.timeout):
                    raise
                return
            if opcode == PONG:
                self.pongs.append(payload)
                if payload == until_pong:
                    return
            elif opcode == CLOSE:
                self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                self.socket.close()  # answers the close
                return
            elif opcode == TEXT:
                self.events += 1


def exchange(context, name, data, code=None, pongs=(), extensions=None, hows=("whole", "bytes", "cut")):
    """`code` None: it must go on, shown by a ping that is answered and a close that is clean; else it must be closed with it, or one of them."""
    for how in hows:
        peer = Peer(context, extensions)
        peer.send(data, how)
        if code is None:
            mark = b"still there"
            peer.send(frame(FIN | PING, mark), "whole")
            peer.read(until_pong=mark)
            equal(peer.pongs, [*pongs, mark], f"{name}, {how}: pongs")
            peer.send(close_frame(1000, b"done"), "whole")
            peer.read()
            equal(peer.code, 1000, f"{name}, {how}: close code")
        else:
            peer.read()
            wanted = code if isinstance(code, tuple) else (code,)
            if peer.code not in wanted:
                raise AssertionError(f"{name}, {how}: expected close {wanted}, found {peer.code}")
            equal(peer.pongs, list(pongs), f"{name}, {how}: pongs")


def setup():
    context = Context()
    _, context.cursor = context.client("berlin-lab").pull(PRODUCT)
    context.ack = json.dumps({"ack": context.cursor}).encode()
    return context


def event_lines(count):
    return "".join(json.dumps({"id": f"ws-{n}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE", "reader": {"email": "ada@example.org"},
                               "headline": f"{n} of {count}: a headline long enough to be worth compressing, worth compressing indeed"}) + "\n" for n in range(count))


@case
def acks_in_any_frames_up_to_their_limit(context):
    ack = context.ack
    for size in (len(ack), 125, 126, 127, 128, ACK_MAX, ACK_MAX + 1, 65535, MESSAGE_MAX):
        padded = ack[:-1] + b" " * (size - len(ack)) + b"}"
        exchange(context, f"ack of {size}", frame(FIN | TEXT, padded), None if size <= ACK_MAX else 1003, hows=("whole", "cut"))
    exchange(context, "ack, byte by byte", frame(FIN | TEXT, ack))
    for size in (64, 256, 1024, 4096, 16384):
        padded = ack[:-1] + b" " * (MESSAGE_MAX - len(ack)) + b"}"
        exchange(context, f"largest message, in fragments of {size}", fragments(TEXT, *(padded[i:i + size] for i in range(0, MESSAGE_MAX, size))), 1003, hows=("whole",))
    padded = ack[:-1] + b" " * (ACK_MAX - len(ack)) + b"}"
    for size in (1, 7, 64, 256):
        exchange(context, f"ack in fragments of {size}", fragments(TEXT, *(padded[i:i + size] for i in range(0, ACK_MAX, size))), hows=("whole",))
    exchange(context, "many acks", frame(FIN | TEXT, ack) * 100, hows=("whole", "cut"))


@case
def what_is_not_an_ack_is_refused_as_data(context):
    for name, payload in (("nothing", b""), ("text", b"Hello"), ("array", b"[]"), ("no member", b"{}"), ("number", b'{"ack":1}'), ("two members", b'{"ack":"x","b":1}'), ("cut off", context.ack[:-1])):
        exchange(context, name, frame(FIN | TEXT, payload), 1003, hows=("whole", "bytes"))
    exchange(context, "not a cursor", frame(FIN | TEXT, b'{"ack":"AAAA"}'), 1003, hows=("whole",))
    for size in (0, 125, 126, 127, 128, 65535, MESSAGE_MAX):
        exchange(context, f"binary of {size}", frame(FIN | BINARY, b"\xfe" * size), 1003, hows=("whole", "cut"))
    for size in (MESSAGE_MAX + 1, 1 << 20, 16 << 20):
        exchange(context, f"text of {size}", bytes([FIN | TEXT, 0xff]) + struct.pack(">Q", size) + b"mask" + b"*" * 1000, 1009, hows=("whole",))
    exchange(context, "too big together", fragments(TEXT, b" " * MESSAGE_MAX, b" "), 1009, hows=("whole",))


@case
def pings_and_pongs(context):
    for name, payload in (("empty", b""), ("text", b"Hello, world!"), ("binary", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), ("largest", b"\xfe" * 125)):
        exchange(context, f"ping {name}", frame(FIN | PING, payload), pongs=[payload])
    exchange(context, "ping too large", frame(FIN | PING, b"\xfe" * 126), 1002)
    exchange(context, "ping too large, 64 bit length", frame(FIN | PING, b"\xfe" * 70000), 1002, hows=("whole",))
    exchange(context, "pong unasked", frame(FIN | PONG, b""))
    exchange(context, "pong unasked, with payload", frame(FIN | PONG, b"unsolicited pong payload"))
    exchange(context, "pong, then ping", frame(FIN | PONG, b"unsolicited") + frame(FIN | PING, b"ping payload"), pongs=[b"ping payload"])
    many = [b"payload-%d" % i for i in range(10)]
    exchange(context, "ten pings", b"".join(frame(FIN | PING, p) for p in many), pongs=many)
    exchange(context, "a ping within a message", frame(TEXT, context.ack[:5]) + frame(FIN | PING, b"between") + frame(FIN, context.ack[5:]), pongs=[b"between"])


@case
def reserved_bits(context):
    for bits in range(1, 8):
        first = bits << 4
        exchange(context, f"text, reserved {bits}", frame(FIN | first | TEXT, b"Hello"), 1002, hows=("whole", "bytes"))
        exchange(context, f"empty text, reserved {bits}", frame(FIN | first | TEXT), 1002, hows=("whole",))
        exchange(context, f"binary, reserved {bits}", frame(FIN | first | BINARY, b"\x00\xff"), 1002, hows=("whole",))
        exchange(context, f"ping, reserved {bits}", frame(FIN | first | PING, b"Hello"), 1002, hows=("whole",))
        exchange(context, f"close, reserved {bits}", frame(FIN | first | CLOSE, b"\x03\xe8"), 1002, hows=("whole",))
        exchange(context, f"after a ping, reserved {bits}", frame(FIN | PING, b"p") + frame(FIN | first | TEXT, b"x") + frame(FIN | PING, b"q"), 1002, pongs=[b"p"], hows=("whole", "bytes"))


@case
def opcodes_without_a_meaning(context):
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        exchange(context, f"opcode {opcode}", frame(FIN | opcode), 1002, hows=("whole",))
        exchange(context, f"opcode {opcode} with payload", frame(FIN | opcode, b"reserved opcode payload"), 1002, hows=("whole", "bytes"))
        exchange(context, f"opcode {opcode} after an ack", frame(FIN | TEXT, context.ack) + frame(FIN | opcode) + frame(FIN | PING), 1002, hows=("whole", "cut"))
    exchange(context, "not masked", frame(FIN | TEXT, context.ack, masked=False), 1002)
    exchange(context, "a ping not masked", frame(FIN | PING, masked=False), 1002)
    exchange(context, "a length longer than needed", bytes([FIN | PING, 0xfe, 0, 5]) + b"mask12345", 1002, hows=("whole",))
    exchange(context, "a 16 bit length longer than needed", bytes([FIN | BINARY, 0xfe, 0, 5]) + b"mask12345", 1002, hows=("whole",))
    exchange(context, "a 64 bit length longer than needed", bytes([FIN | BINARY, 0xff]) + struct.pack(">Q", 300) + b"mask", 1002, hows=("whole",))
    exchange(context, "a negative length", bytes([FIN | BINARY, 0xff]) + struct.pack(">Q", 1 << 63) + b"mask", 1002, hows=("whole",))


@case
def fragments_and_what_comes_between(context):
    a, b, c = context.ack[:7], context.ack[7:20], context.ack[20:]
    ping, pong = frame(FIN | PING, b"ping payload"), frame(FIN | PONG, b"x")
    exchange(context, "two fragments", fragments(TEXT, a, b + c))
    exchange(context, "ping in fragments", frame(PING, b"frag") + frame(FIN, b"ment"), 1002)
    exchange(context, "pong in fragments", frame(PONG, b"frag") + frame(FIN, b"ment"), 1002)
    exchange(context, "close in fragments", frame(CLOSE, b"\x03\xe8"), 1002)
    exchange(context, "pings between", frame(TEXT, a) + ping + frame(0, b) + pong + ping + frame(FIN, c), pongs=[b"ping payload"] * 2)
    exchange(context, "empty fragments", fragments(TEXT, b"", a, b"", b + c, b""))
    exchange(context, "only empty fragments", fragments(TEXT, b"", b"", b""), 1003)
    exchange(context, "nothing to continue", frame(FIN, b"fragment"), 1002)
    exchange(context, "nothing to continue, not the last", frame(0, b"fragment"), 1002)
    exchange(context, "nothing left to continue", fragments(TEXT, a, b + c) + frame(FIN, b"more"), 1002)
    exchange(context, "a message within a message", frame(TEXT, a) + frame(FIN | TEXT, context.ack), 1002)
    exchange(context, "a message begun within a message", frame(TEXT, a) + frame(TEXT, b), 1002)
    exchange(context, "binary within text", frame(TEXT, a) + frame(FIN | BINARY, b), 1002)
    exchange(context, "two messages in fragments", fragments(TEXT, a, b, c) + ping + fragments(TEXT, a, b, c), pongs=[b"ping payload"])
    exchange(context, "every byte a fragment", fragments(TEXT, *(context.ack[i:i + 1] for i in range(len(context.ack)))), hows=("whole", "cut"))


GOOD = ["κόσμε", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0001fffe", "\U0010fffe", "\U0010ffff",
        "Hello-µ@ßöäüàá-UTF-8!!", "\u2028\u2029"]
BAD = [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80\xbf\x80\xbf", b"\xc0 ", b"\xc1\xbf", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xc0\xaf",
       b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf4\x90\x80\x80",
       b"\xf7\xbf\xbf\xbf", b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xce ", b"\xe1\xbd ", b"\xf0\x9f\x98 "]


@case
def text_is_utf_8(context):
    for text in GOOD:
        data = text.encode("utf-8")
        exchange(context, f"good {data!r}", frame(FIN | TEXT, data), 1003, hows=("whole", "bytes"))
        exchange(context, f"good {data!r}, every byte a fragment", fragments(TEXT, *(data[i:i + 1] for i in range(len(data)))), 1003, hows=("whole",))
    for data in BAD:
        exchange(context, f"bad {data!r}", frame(FIN | TEXT, data), 1007, hows=("whole", "bytes"))
        exchange(context, f"bad {data!r}, every byte a fragment", fragments(TEXT, *(data[i:i + 1] for i in range(len(data)))), 1007, hows=("whole",))
        exchange(context, f"bad {data!r} after good", frame(FIN | TEXT, "κόσμε".encode() + data), 1007, hows=("whole",))
    for text in GOOD[3:]:
        data = text.encode("utf-8")
        if len(text) == 1:
            for size in range(1, len(data)):
                exchange(context, f"cut off {data[:size]!r}", frame(FIN | TEXT, data[:size]), 1007, hows=("whole",))


@case
def malformed_text_is_refused_before_it_ends(context):
    begun, rest = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90", b"\x80\x80edited"
    exchange(context, "with the fragment", frame(TEXT, begun), 1007)
    exchange(context, "within the frame", frame(FIN | TEXT, begun + rest)[:6 + len(begun)], 1007)
    exchange(context, "binary may", frame(FIN | BINARY, begun + rest), 1003)


@case
def closing(context):
    for name, payload, code in (("empty", b"", 1005), ("code alone", b"\x03\xe8", 1000), ("code and reason", b"\x03\xe8Hello World!", 1000), ("longest reason", b"\x03\xe8" + b"*" * 123, 1000)):
        exchange(context, f"close {name}", frame(FIN | CLOSE, payload), code)
    exchange(context, "one byte", frame(FIN | CLOSE, b"\x03"), 1002)
    exchange(context, "too long", frame(FIN | CLOSE, b"\x03\xe8" + b"*" * 124), 1002)
    exchange(context, "reason not UTF-8", close_frame(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"), 1007)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        exchange(context, f"close {code}", close_frame(code), code, hows=("whole",))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        exchange(context, f"close {code}", close_frame(code), 1002, hows=("whole",))
        exchange(context, f"close {code} with a reason", close_frame(code, b"why"), 1002, hows=("whole",))
    exchange(context, "nothing after it", close_frame() + frame(FIN | PING, b"late") + frame(FIN | 3), 1000, hows=("whole",))
    exchange(context, "two closes", close_frame() + close_frame(1001), 1000, hows=("whole",))
    exchange(context, "within a message", frame(TEXT, b"begun") + close_frame() + frame(FIN, b"late"), 1000)


DEFLATE = "permessage-deflate"


def deflated(data, level=9, window=-15):
    packer = zlib.compressobj(level, zlib.DEFLATED, window)
    out = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    return out[:-4]


@case
def compression_is_agreed_on_with_memory_that_is_bounded(context):
    agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    for offer, answer in ((None, None), ("x-webkit-deflate-frame", None), (DEFLATE, agreed), (DEFLATE + "; client_max_window_bits", agreed), (DEFLATE + "; server_max_window_bits=9, " + DEFLATE, agreed),
                          (DEFLATE + "; server_max_window_bits=9", None), (DEFLATE + "; client_max_window_bits=99", None), (DEFLATE + "; no_such_parameter", None)):
        peer = Peer(context, offer)
        equal(peer.socket.headers.get("Sec-WebSocket-Extensions"), answer, f"answer to {offer}")
        peer.socket.close()


@case
def compressed_messages(context):
    ack = context.ack
    large = ack[:-1] + b" " * (MESSAGE_MAX - len(ack)) + b"}"
    for level in (0, 1, 6, 9):
        for data in (ack, large):
            if level == 0 and data is large:
                continue  # would be larger than a message may be
            packed = deflated(data, level)
            code = None if data is ack else 1003
            exchange(context, f"{len(data)} at level {level}", frame(FIN | RSV1 | TEXT, packed), code, extensions=DEFLATE, hows=("whole", "cut"))
            exchange(context, f"{len(data)} at level {level} in fragments", fragments(TEXT, packed[:3], b"", packed[3:], first=RSV1), code, extensions=DEFLATE, hows=("whole", "cut"))
    for window in (-9, -10, -12):
        exchange(context, f"window {window}", frame(FIN | RSV1 | TEXT, deflated(ack, 9, window)), extensions=DEFLATE, hows=("whole",))
    exchange(context, "compressed and plain", frame(FIN | RSV1 | TEXT, deflated(ack)) + frame(FIN | TEXT, ack) + frame(FIN | RSV1 | TEXT, deflated(ack)), extensions=DEFLATE)
    exchange(context, "pings between", frame(RSV1 | TEXT, deflated(ack)[:4]) + frame(FIN | PING, b"p") + frame(FIN, deflated(ack)[4:]), pongs=[b"p"], extensions=DEFLATE)
    exchange(context, "not agreed", frame(FIN | RSV1 | TEXT, deflated(ack)), 1002)
    exchange(context, "a compressed ping", frame(FIN | RSV1 | PING, b"p"), 1002, extensions=DEFLATE)
    exchange(context, "the mark on a later fragment", frame(RSV1 | TEXT, deflated(ack)[:4]) + frame(FIN | RSV1, deflated(ack)[4:]), 1002, extensions=DEFLATE)
    exchange(context, "not deflate", frame(FIN | RSV1 | TEXT, b"\xff" * 20), 1007, extensions=DEFLATE)
    exchange(context, "not UTF-8", frame(FIN | RSV1 | TEXT, deflated(b"\xff" * 500)), 1007, extensions=DEFLATE)
    exchange(context, "a bomb", frame(FIN | RSV1 | TEXT, deflated(b" " * (32 << 20))), 1009, extensions=DEFLATE, hows=("whole", "cut"))


@case
def compressed_and_plain_subscribers_get_the_same_events(context):
    desk = context.client("newsroom-desk")
    context.client("dpo").post("/v1/admin/consents", {"subject": "ada@example.org", "controller": "daily-courier", "purposes": ["dpv:AcademicResearch"], "status": "given"})
    peers = [Peer(context, offer).socket for offer in (None, DEFLATE, DEFLATE)]
    desk.publish(PRODUCT, event_lines(50))
    got = [list(itertools.islice(socket_, 50)) for socket_ in peers]
    equal(got[1], got[0], "messages of a compressed stream")
    equal(got[2], got[0], "messages of another")
    if not peers[1].compressed:
        raise AssertionError("no message came compressed")
    equal(peers[0].compressed, 0, "compressed messages of a plain stream")


@case
def the_opening_is_checked(context):
    client = context.client("berlin-lab")
    good = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "cloudevents.json"}
    for change, status in (({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Key": "short"}, 400), ({"Sec-WebSocket-Key": ""}, 400), ({"Connection": "keep-alive"}, 400), ({"Sec-WebSocket-Protocol": "chat"}, 400)):
        try:
            client.request("GET", client.events_path(PRODUCT), headers={**good, **change})
        except Problem as problem:
            equal(problem.status, status, f"{change}")
            continue
        raise AssertionError(f"{change}: accepted")


if __name__ == "__main__":
    sys.exit(main(setup))
