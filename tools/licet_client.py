"""A small client of Licet's public API: requests, Server-Sent Events, WebSocket. Python standard library only; used by ./dev, the demo and tests/e2e.

Kept independent of the server's sources on purpose: it knows the wire formats and nothing else.
"""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import time
import urllib.parse
import zlib


class Problem(Exception):
    """An answer outside 2xx."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        try:
            self.problem = json.loads(body)
        except ValueError:
            self.problem = {}
        detail = self.problem.get("detail") or self.problem.get("title") or body[:200]
        super().__init__(f"HTTP {status}: {self.problem.get('type', '')} {detail}")

    @property
    def slug(self):
        return self.problem.get("type", "").rsplit("/", 1)[-1]


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


class Client:
    """One base URL, one client identity. Tokens are fetched when first needed. Not thread-safe."""

    def __init__(self, base_url, ca_file=None, client_id=None, secret=None, timeout=60.0):
        self.base = urllib.parse.urlsplit(base_url)
        self.client_id = client_id
        self.secret = secret
        self.timeout = timeout
        self._token = None
        self._connection = None
        self.context = None
        if self.base.scheme == "https":
            self.context = ssl.create_default_context(cafile=ca_file)

    def connect(self, timeout=None):
        raw = socket.create_connection((self.base.hostname, self.base.port), timeout or self.timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(raw, server_hostname=self.base.hostname) if self.context else raw

    def _new_connection(self, timeout=None):
        if self.context:
            return http.client.HTTPSConnection(self.base.hostname, self.base.port, context=self.context, timeout=timeout or self.timeout)
        return http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=timeout or self.timeout)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def raw(self, method, path, body=None, headers=None):
        """One request on the kept-alive connection; a connection the server closed meanwhile is opened again, once. Text is sent as UTF-8."""
        body = body.encode() if isinstance(body, str) else body
        for attempt in (0, 1):
            fresh = self._connection is None
            if fresh:
                self._connection = self._new_connection()
            try:
                self._connection.request(method, path, body=body, headers=headers or {})
                response = self._connection.getresponse()
                answer = Answer(response.status, response.headers, response.read())
                if response.will_close:
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                self.close()
                if fresh or attempt == 1:
                    raise
        raise AssertionError("unreachable")

    def token(self, scope=None, fresh=False):
        if self._token is None or fresh or scope is not None:
            form = {"grant_type": "client_credentials"}
            if scope is not None:
                form["scope"] = scope
            basic = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            answer = self.raw("POST", "/oauth/token", urllib.parse.urlencode(form),
                              {"Authorization": "Basic " + basic, "Content-Type": "application/x-www-form-urlencoded"})
            if answer.status != 200:
                raise Problem(answer.status, answer.headers, answer.body)
            token = answer.json()["access_token"]
            if scope is not None:
                return token
            self._token = token
        return self._token

    def authorization(self):
        return {"Authorization": "Bearer " + self.token()} if self.client_id else {}

    def request(self, method, path, body=None, content_type=None, headers=None, accept_status=None):
        all_headers = dict(self.authorization())
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            content_type = content_type or "application/json"
        if content_type:
            all_headers["Content-Type"] = content_type
        all_headers.update(headers or {})
        answer = self.raw(method, path, body, all_headers)
        if not 200 <= answer.status < 300 and answer.status not in (accept_status or ()):
            raise Problem(answer.status, answer.headers, answer.body)
        return answer

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def put(self, path, body, **kw):
        return self.request("PUT", path, body, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    # Events

    def publish(self, product, body, content_type="application/x-ndjson", headers=None, accept_status=None):
        return self.request("POST", f"/v1/products/{product}/events", body, content_type, headers, accept_status)

    def events_path(self, product, **query):
        query = {k.rstrip("_"): v for k, v in query.items() if v is not None}
        return f"/v1/products/{product}/events" + ("?" + urllib.parse.urlencode(query) if query else "")

    def pull(self, product, accept="application/x-ndjson", **query):
        """One page: (raw event texts, cursor to continue from)."""
        answer = self.get(self.events_path(product, **query), headers={"Accept": accept})
        cursor = answer.headers.get("Licet-Cursor")
        if accept == "application/x-ndjson":
            return [line for line in answer.body.split(b"\n") if line], cursor
        return answer.body, cursor

    def sse(self, product, last_event_id=None, timeout=None, **query):
        return Sse(self, self.events_path(product, **query), last_event_id, timeout or self.timeout)

    def websocket(self, product, timeout=None, extensions=None, protocol="cloudevents.json", **query):
        return WebSocket(self, self.events_path(product, **query), timeout or self.timeout, protocol, extensions)


class Sse:
    """Iterates (id, data bytes) of a stream. `timeout` seconds without any byte, heartbeats included, is an error."""

    def __init__(self, client, path, last_event_id, timeout):
        self.connection = client._new_connection(timeout)
        headers = {"Accept": "text/event-stream", **client.authorization()}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        self.connection.request("GET", path, headers=headers)
        self.sock = self.connection.sock  # the connection forgets it once the answer says that it ends with it
        self.response = self.connection.getresponse()
        self.retry_ms = None
        self.last_id = last_event_id
        if self.response.status != 200:
            raise Problem(self.response.status, self.response.headers, self.response.read())
        kind = self.response.headers.get_content_type()
        if kind != "text/event-stream":
            raise AssertionError(f"SSE answered as {kind}")

    def __iter__(self):
        data, identity = [], None
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.rstrip(b"\r\n")
            if not line:
                if data:
                    if identity is not None:
                        self.last_id = identity
                    yield identity, b"\n".join(data)
                data, identity = [], None
                continue
            if line.startswith(b":"):
                continue
            name, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if name == b"data":
                data.append(value)
            elif name == b"id":
                identity = value.decode()
            elif name == b"retry":
                self.retry_ms = int(value)

    def close(self):
        # Closing the response first would read a stream without end.
        if self.connection.sock is not None:
            self.connection.sock.close()
        try:
            self.response.fp.close()
        except (OSError, AttributeError):
            pass
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WebSocket:
    """RFC 6455 client, of one subprotocol or of the one answered of a list. Iterates message bytes; pings are answered; ends at a close frame (code in close_code). `extensions`
    offers permessage-deflate (RFC 7692) as written; `compressed` counts the messages that came so."""

    GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    MESSAGE_MAX_BYTES = 4 * 1024 * 1024

    def __init__(self, client, path, timeout, protocol="cloudevents.json", extensions=None):
        self.sock = client.connect(timeout)
        self.buffer = bytearray()
        self.close_code = None
        self.close_reason = b""
        self.compressed = 0
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {client.base.netloc}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key.decode()}", f"Sec-WebSocket-Protocol: {protocol}"]
        if extensions is not None:
            lines.append(f"Sec-WebSocket-Extensions: {extensions}")
        lines += [f"{k}: {v}" for k, v in client.authorization().items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        status = int(head.split(b" ", 2)[1])
        headers = http.client.HTTPMessage()
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            headers[name.decode()] = value.strip().decode()
        if status != 101:
            length = int(headers.get("Content-Length", "0"))
            while len(self.buffer) < length:
                self._fill()
            body = bytes(self.buffer[:length])
            self.sock.close()
            raise Problem(status, headers, body)
        expected = base64.b64encode(hashlib.sha1(key + self.GUID).digest()).decode()
        if headers.get("Sec-WebSocket-Accept") != expected:
            raise AssertionError("wrong Sec-WebSocket-Accept")
        self.protocol = headers.get("Sec-WebSocket-Protocol")
        if self.protocol not in protocol.split(", "):
            raise AssertionError(f"subprotocol {self.protocol!r}")
        self.headers = headers
        self.deflate = "Sec-WebSocket-Extensions" in headers

    def _fill(self):
        chunk = self.sock.recv(256 * 1024)
        if not chunk:
            raise ConnectionError("closed by the server")
        self.buffer += chunk

    def _take(self, size):
        while len(self.buffer) < size:
            self._fill()
        out = bytes(self.buffer[:size])
        del self.buffer[:size]
        return out

    def _frame(self):
        first, second = self._take(2)
        size = second & 0x7F
        if second & 0x80:
            raise AssertionError("a server must not mask")
        if first & (0x30 if self.deflate and first & 0x0F in (1, 2) else 0x70):
            raise AssertionError("reserved bits set")
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        if size > self.MESSAGE_MAX_BYTES:
            raise AssertionError(f"frame of {size} bytes")
        payload = self._take(size)
        if first & 0x40:  # one message for itself, without what RFC 7692 takes off its end; we never get fragments
            self.compressed += 1
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        return bool(first & 0x80), first & 0x0F, payload

    def send(self, opcode, payload=b""):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", size)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def __iter__(self):
        parts = []
        while True:
            try:
                final, opcode, payload = self._frame()
            except ConnectionError:
                return
            if opcode == 0x8:
                self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                self.close_reason = payload[2:]
                try:
                    self.send(0x8, payload[:2])
                except OSError:
                    pass
                return
            if opcode == 0x9:
                self.send(0xA, payload)
            elif opcode in (0x0, 0x2 if self.protocol == "cloudevents.proto" else 0x1):
                parts.append(payload)
                if final:
                    message, parts = b"".join(parts), []
                    yield message
            elif opcode != 0xA:
                raise AssertionError(f"opcode {opcode}")

    def close(self):
        try:
            self.send(0x8, struct.pack(">H", 1000))
        except OSError:
            pass
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def data_bytes(event):
    """The bytes of the `data` member of a delivered event: what is billed. The member is the last one, after `cursor`."""
    text = event if isinstance(event, bytes) else event.encode()
    decoder = json.JSONDecoder()
    string = text.decode("utf-8")
    at = 1
    while True:
        name, at = decoder.raw_decode(string, at)
        if string[at] != ":":
            raise AssertionError("not as the wire format says")
        if name in ("data", "data_base64"):
            if string[-1] != "}":
                raise AssertionError("data is not the last member")
            return string[at + 1:-1].encode("utf-8")
        _, at = decoder.raw_decode(string, at + 1)
        if string[at] == "}":
            return b""
        if string[at] != ",":
            raise AssertionError("not as the wire format says")
        at += 1


def await_condition(what, check, seconds=30.0, interval=0.05):
    """Polls until `check` returns something true; raises TimeoutError that says what was awaited."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = None
        except (OSError, Problem, http.client.HTTPException, AssertionError) as e:
            last = e
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s" + (f" ({type(last).__name__}: {last})" if last else ""))
        time.sleep(interval)
