"""A real browser (Chromium, headless) for e2e scripts, driven by a page alone: the page asks its own server what to do, does it, and reports. No driver program, no debugging protocol.

A Site is a tiny static server on an origin of its own; Browser opens one of them, and the others in frames of it. run() is the body of an async function, whose value comes back as JSON.
"""
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading

PAGE = """<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,"><script>
%s
const AsyncFunction = (async () => {}).constructor;
(async () => {
  for (;;) {
    let job;
    try { job = await (await fetch("/next", { method: "POST" })).json(); } catch { await new Promise((done) => setTimeout(done, 200)); continue; }
    if (job === null) continue;
    const report = (value) => fetch("/result", { method: "POST", body: JSON.stringify({ number: job.number, ...value }) });
    new AsyncFunction("given", job.code)(job.given).then((value) => report({ value: value ?? null }), (error) => report({ error: String(error) }));
  }
})();
</script>%s
"""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--mute-audio", "--disable-features=Translate,MediaRouter,OptimizationHints"]
LONG_POLL_S = 20


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Site:
    """http://localhost:PORT. `script` runs in its page; `frames` are other sites, opened within it."""

    def __init__(self, script="", frames=()):
        self.jobs, self.results, self.number = queue.Queue(), {}, 0
        self.changed = threading.Condition()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _say(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):  # noqa: N802
                self._say("text/html; charset=utf-8", (PAGE % (script, "".join(f'<iframe src="{f.origin}/"></iframe>' for f in frames))).encode())

            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/result":
                    result = json.loads(body)
                    with site.changed:
                        site.results[result["number"]] = result
                        site.changed.notify_all()
                    return self._say("application/json", b"{}")
                try:
                    job = site.jobs.get(timeout=LONG_POLL_S)
                except queue.Empty:
                    job = None
                return self._say("application/json", json.dumps(job).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.origin = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, code, **given):
        """Runs it and does not wait; the number is for result()."""
        self.number += 1
        self.jobs.put({"number": self.number, "code": code, "given": given})
        return self.number

    def result(self, number, timeout=30):
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.results, timeout):
                raise TimeoutError(f"the page of {self.origin} did not report within {timeout} s")
            result = self.results.pop(number)
        if "error" in result:
            raise AssertionError(f"in the page of {self.origin}: {result['error']}")
        return result["value"]

    def run(self, code, timeout=30, **given):
        return self.result(self.begin(code, **given), timeout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    def __init__(self, site):
        self.profile = tempfile.mkdtemp(prefix="licet-browser-")
        self.log = open(os.path.join(self.profile, "log"), "wb")
        self.process = subprocess.Popen([find(), *FLAGS, f"--user-data-dir={self.profile}/profile", site.origin + "/"], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, start_new_session=True, env={**os.environ, "HOME": self.profile})

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)
