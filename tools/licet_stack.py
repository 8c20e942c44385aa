"""A private stack on loopback: one PostgreSQL cluster, one Redis, and Licet nodes of two regions, all under one directory and stopped with it.

Used by ./dev up (directory .dev, fixed ports) and by tests/e2e (a directory and ports of their own, so that both can run at once). Owns exactly the
processes it starts; a cluster of this directory that a crash left running is taken over, nothing else is touched.
"""
import ctypes
import fcntl
import hashlib
import os
import pathlib
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from licet_client import Client, await_condition

ROOT = pathlib.Path(__file__).resolve().parents[1]
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PORTS = (12000, 32000)
DEV_PORTS = {"eu": 18443, "us": 18444, "eu.ops": 18081, "us.ops": 18082, "postgres": 15439, "redis": 16399}
_LIBC = ctypes.CDLL(None)


class StackError(Exception):
    """Something a person can act on; printed without a traceback."""


def free_ports(names):
    """Ports nobody uses now. All are held until all are known, so that they differ. Below those the kernel lends to outgoing connections, one of which could take a port
    before its server does."""
    held = {}
    for name in names:
        while name not in held:
            s = socket.socket()
            try:
                s.bind(("127.0.0.1", random.randrange(*PORTS)))
                held[name] = s
            except OSError:
                s.close()
    out = {name: s.getsockname()[1] for name, s in held.items()}
    for s in held.values():
        s.close()
    return out


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def die_with_parent(how):
    def run():
        _LIBC.prctl(1, how)  # PR_SET_PDEATHSIG
    return run


def http_status(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code


class Process:
    """A child in a session of its own: the terminal's Ctrl-C reaches only us, and we stop it in order."""

    def __init__(self, name, command, log, stop_signal=signal.SIGTERM, **kw):
        self.name = name
        self.stop_signal = stop_signal
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                          preexec_fn=die_with_parent(stop_signal), **kw)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def stop(self, seconds=20):
        """Returns the exit code; a process that does not obey in time is killed, and that is told by a negative code."""
        if self.running():
            self.popen.send_signal(self.stop_signal)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def tail(self, lines=15):
        try:
            return "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class Stack:
    def __init__(self, directory, ports=None, regions=("eu", "us"), say=lambda text: None, binary=None, with_redis=True, plain=(), allowed_origins=(), log_level="info"):
        self.dir = pathlib.Path(directory).resolve()
        self.regions = list(regions)
        self.say = say
        self.binary = pathlib.Path(binary or os.environ.get("LICET_BINARY") or ROOT / "build" / "release" / "licet")
        self.with_redis = with_redis
        self.plain = set(plain)  # nodes without TLS
        self.allowed_origins = list(allowed_origins)
        self.log_level = log_level
        names = [*self.regions, *(r + ".ops" for r in self.regions), "postgres", "redis"]
        self.ports = dict(ports) if ports else free_ports(names)
        self.nodes = {}
        self.more = {}  # added nodes: name -> (region, port of its PostgreSQL proxy)
        self.services = []
        self.lock = None
        self.as_postgres = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self.as_postgres = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    # Paths

    @property
    def ca(self):
        return self.dir / "tls" / "ca.pem"

    def secret_file(self, name):
        return self.dir / "secrets" / name

    def client_secret_file(self, client):
        return self.dir / "secrets" / "clients" / client

    def config(self, region):
        return self.dir / f"{region}.toml"

    def node_dir(self, region):
        return self.dir / region

    def url(self, region):
        return f"{'http' if region in self.plain else 'https'}://127.0.0.1:{self.ports[region]}"

    def ops_url(self, region):
        return f"http://127.0.0.1:{self.ports[region + '.ops']}"

    # Life

    def acquire(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.dir / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(f"{self.dir} is in use by another run; stop that one first (Ctrl-C in its terminal)") from None

    def start(self):
        self.acquire()
        if not self.binary.exists():
            raise StackError(f"{self.binary} is missing: build first (./dev build)")
        self._prepare_secrets()
        self._prepare_tls()
        try:
            self._start_postgres()
            if self.with_redis:
                self._start_redis()
            self._prepare_databases()
            for region in self.regions:
                self.write_config(region)
            for region in self.regions:
                self.migrate(region)
            for region in self.regions:
                self.start_node(region)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Stops what this object started, last first. Returns names of what had to be killed or failed."""
        bad = []
        for region in list(self.nodes)[::-1]:
            code = self.stop_node(region)
            if code != 0:
                bad.append(f"{region} ended with {code}")
        while self.services:
            service = self.services.pop()
            service.stop()
        if self.lock is not None:
            self.lock.close()
            self.lock = None
        return bad

    # Parts

    def _prepare_secrets(self):
        folder = self.dir / "secrets"
        (folder / "clients").mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        for name, size in (("cursor_key", 64), ("pseudonym_key", 32), ("subject_key", 32), ("key_encryption_key", 32), ("tls_ticket_key", 32), ("bootstrap_admin_secret", 32)):
            if not self.secret_file(name).exists():
                self._write_secret(name, secrets.token_hex(size) + "\n")
        for name in ("postgres_owner", "postgres_node"):
            if not self.secret_file(name).exists():
                self._write_secret(name, secrets.token_hex(24) + "\n")
        for name in ("token_signing_key.pem", "audit_signing_key.pem"):
            if not self.secret_file(name).exists():
                text = self._run(["openssl", "genpkey", "-algorithm", "ed25519"])
                self._write_secret(name, text)

    def _write_secret(self, name, text):
        path = self.secret_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)

    def _prepare_tls(self):
        folder = self.dir / "tls"
        folder.mkdir(exist_ok=True)
        if (folder / "server.pem").exists():
            return
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._run(["openssl", "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", "825", "-subj", "/CN=Licet development CA",
                   "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        self._run(["openssl", "req", "-new", *key, "-keyout", folder / "server.key", "-out", folder / "server.csr", "-subj", "/CN=localhost"])
        (folder / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        self._run(["openssl", "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial",
                   "-days", "825", "-extfile", folder / "server.ext", "-out", folder / "server.crt"])
        (folder / "server.pem").write_text((folder / "server.crt").read_text() + (folder / "ca.pem").read_text())
        for name in ("ca.key", "server.key"):
            os.chmod(folder / name, 0o600)

    def _postgres_dir(self):
        """Where the cluster lives: below our directory, or, when its account cannot walk there (a clone under /root), in a place of its own with a link."""
        link = self.dir / "postgres"
        if link.exists() or link.is_symlink():
            return link.resolve()
        if self.as_postgres and subprocess.run(["test", "-x", str(self.dir)], **self.as_postgres).returncode != 0:
            place = pathlib.Path("/var/lib/postgresql") / ("licet-dev-" + hashlib.sha256(str(self.dir).encode()).hexdigest()[:12])
            place.mkdir(parents=True, exist_ok=True)
            link.symlink_to(place)
            self.say(f"the postgres account cannot enter {self.dir}: its cluster is kept in {place}")
            return place
        link.mkdir()
        return link

    def _start_postgres(self):
        home = self._postgres_dir()
        data, run = home / "data", home / "run"
        if self.as_postgres:
            os.chown(home, self.as_postgres["user"], self.as_postgres["group"])
        self.pg_socket = run
        if not (data / "PG_VERSION").exists():
            if data.exists():
                shutil.rmtree(data)  # an initdb that was interrupted
            password = self.dir / "secrets" / "postgres_owner"
            given = home / "password"
            shutil.copyfile(password, given)
            if self.as_postgres:
                os.chown(given, self.as_postgres["user"], self.as_postgres["group"])
            try:
                self._run([PG_BIN / "initdb", "-D", data, "-U", "licet_owner", f"--pwfile={given}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"],
                          cwd="/", **self.as_postgres)
            finally:
                given.unlink()
        if not run.exists():
            run.mkdir(mode=0o700)
            if self.as_postgres:
                os.chown(run, self.as_postgres["user"], self.as_postgres["group"])
        self._take_over(data)
        if not port_free(self.ports["postgres"]):
            raise StackError(f"port {self.ports['postgres']} (PostgreSQL) is taken by another program")
        settings = {"port": self.ports["postgres"], "listen_addresses": "127.0.0.1", "unix_socket_directories": run, "wal_level": "logical", "max_connections": 100,
                    "max_wal_senders": 10, "max_replication_slots": 10, "shared_buffers": "64MB", "log_min_messages": "warning", "log_connections": "off"}
        command = [PG_BIN / "postgres", "-D", data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # SIGINT: fast shutdown.
        server = Process("postgres", command, self.dir / "postgres.log", signal.SIGINT, cwd="/", **self.as_postgres)
        self.services.append(server)

        def ready():
            if not server.running():
                raise StackError("PostgreSQL did not start:\n" + server.tail())
            return subprocess.run([str(PG_BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.ports["postgres"])], check=False).returncode == 0
        await_condition("PostgreSQL", ready, 60)

    def _take_over(self, data):
        """Ends a server of this very data directory that an earlier run left behind."""
        try:
            pid = int((data / "postmaster.pid").read_text().split("\n")[0])
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if str(data).encode() in command:
            os.kill(pid, signal.SIGINT)
            await_condition("the PostgreSQL of an earlier run to end", lambda: not pathlib.Path(f"/proc/{pid}").exists(), 30)

    def _start_redis(self):
        home = self.dir / "redis"
        home.mkdir(exist_ok=True)
        port = self.ports["redis"]
        if not port_free(port):
            raise StackError(f"port {port} (Redis) is taken by another program")
        # Nothing in it needs to survive: leases and acknowledgements only.
        server = Process("redis", ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", home, "--daemonize", "no"],
                         self.dir / "redis.log")
        self.services.append(server)

        def ready():
            if not server.running():
                raise StackError("Redis did not start:\n" + server.tail())
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        await_condition("Redis", ready, 20)

    def psql(self, database, sql):
        env = {**os.environ, "PGPASSWORD": self.secret_file("postgres_owner").read_text().strip()}
        command = [str(PG_BIN / "psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "licet_owner",
                   "-d", database, "-c", sql]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError("PostgreSQL: " + done.stderr.strip())
        return done.stdout.strip()

    def dump(self, database):
        env = {**os.environ, "PGPASSWORD": self.secret_file("postgres_owner").read_text().strip()}
        return subprocess.run([str(PG_BIN / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "licet_owner", "-d", database],
                              env=env, capture_output=True, check=True).stdout

    def database(self, region):
        return f"licet_{region}"

    def _prepare_databases(self):
        password = self.secret_file("postgres_node").read_text().strip()
        if not self.psql("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'licet_node'"):
            self.psql("postgres", f"CREATE ROLE licet_node LOGIN PASSWORD '{password}'")
        for region in self.regions:
            if not self.psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{self.database(region)}'"):
                self.psql("postgres", f"CREATE DATABASE {self.database(region)}")

    def add_node(self, region, name, postgres_port=None, lease_ms=3000):
        """One more node of a region: shares its PostgreSQL and Redis, has a log, a journal and ports of its own. `postgres_port`: of a proxy before it."""
        self.ports.update(free_ports([name, name + ".ops"]))
        self.more[name] = (region, postgres_port)
        self.write_config(name, lease_ms=lease_ms)
        self.start_node(name)

    def region_of(self, node):
        return self.more.get(node, (node, None))[0]

    def dsn(self, region, role):
        region, proxy = self.more.get(region, (region, None))
        text = f"host=127.0.0.1 port={proxy or self.ports['postgres']} dbname={self.database(region)} user={role}"
        if role == "licet_owner":
            text += f" password={self.secret_file('postgres_owner').read_text().strip()}"
        return text

    def write_config(self, node, extra="", lease_ms=3000):
        """`node`: a region, for its first node, or the name of one that was added."""
        first = self.regions[0]
        region, name = self.region_of(node), node if node in self.more else f"{node}-1"
        lines = ["# Written by the development stack; deploy/licet.toml explains every key.",
                 "[node]", f'name = "{name}"', f'region = "{region}"', f'data_dir = "{node}"', "drain_ms = 0", "",
                 "[edge]", f'listen = "127.0.0.1:{self.ports[node]}"', f'public_url = "{self.url(node)}"', f"allowed_origins = {self.allowed_origins}",
                 *([] if node in self.plain else ['tls_certificate = "tls/server.pem"', 'tls_key = "tls/server.key"']), "",
                 "[ops]", f'listen = "127.0.0.1:{self.ports[node + ".ops"]}"', "",
                 "[catalog]", f'dsn = "{self.dsn(node, "licet_node")}"', 'password_file = "secrets/postgres_node"',
                 f'owner_dsn = "{self.dsn(node, "licet_owner")}"']
        if region != first:
            lines += [f'authored_in = "{first}"', f'replicate_from = "{self.dsn(first, "licet_owner")}"']
        lines += ["", "[journal]", 'durability = "fsync"', ""]
        if self.with_redis:
            lines += ["[redis]", f'address = "127.0.0.1:{self.ports["redis"]}"', f"lease_ms = {lease_ms}", ""]
        lines += ["[secrets]", 'token_signing_key = "secrets/token_signing_key.pem"', 'audit_signing_key = "secrets/audit_signing_key.pem"',
                  'cursor_key = "secrets/cursor_key"', 'pseudonym_key = "secrets/pseudonym_key"', 'subject_key = "secrets/subject_key"',
                  'key_encryption_key = "secrets/key_encryption_key"', 'tls_ticket_key = "secrets/tls_ticket_key"',
                  'bootstrap_admin_secret = "secrets/bootstrap_admin_secret"', "",
                  "[log]", f'level = "{self.log_level}"', f'file = "{node}.log"', ""]
        text = "\n".join(lines) + extra
        descriptor = os.open(self.config(node), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)

    def migrate(self, region):
        done = subprocess.run([self.binary, "migrate", "--config", self.config(region)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"licet migrate ({region}) ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.psql(self.database(region), "GRANT licet_serving TO licet_node")

    def launch(self, region):
        """Starts a node without waiting for it."""
        for name in (region, region + ".ops"):
            if not port_free(self.ports[name]):
                raise StackError(f"port {self.ports[name]} ({name}) is taken by another program")
        node = Process(region, [self.binary, "serve", "--config", self.config(region)], self.dir / f"{region}.out")
        self.nodes[region] = node
        return node

    def start_node(self, region, seconds=60):
        node = self.launch(region)

        def ready():
            if not node.running():
                raise StackError(f"node {region} ended with {node.popen.returncode}:\n{node.tail()}")
            return http_status(self.ops_url(region) + "/readyz") == 200
        await_condition(f"node {region} ready", ready, seconds)

    def stop_node(self, region):
        node = self.nodes.pop(region)
        return node.stop()

    def kill_node(self, region):
        """kill -9."""
        self.nodes.pop(region).kill()

    def client(self, region, client_id=None, timeout=60.0):
        if client_id is None:
            return Client(self.url(region), str(self.ca), timeout=timeout)
        name = self.secret_file("bootstrap_admin_secret") if client_id == "admin" else self.client_secret_file(client_id)
        return Client(self.url(region), str(self.ca), client_id, name.read_text().strip(), timeout)

    def save_client_secret(self, client_id, secret):
        self._write_secret(f"clients/{client_id}", secret + "\n")

    def _run(self, command, **kw):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **kw)
        if done.returncode != 0:
            raise StackError(f"{command[0]} ended with {done.returncode}:\n{done.stderr.strip()}")
        return done.stdout


def remove(directory):
    """Deletes a stack's directory, and its cluster when that is kept elsewhere."""
    directory = pathlib.Path(directory)
    link = directory / "postgres"
    if link.is_symlink():
        place = link.resolve()
        if place.name.startswith("licet-dev-"):
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)




def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)
