"""Watches a node's memory, descriptors and threads, and says whether they are flat."""
import os
import pathlib
import statistics
import threading
import time

# Runs shorter than this see caches fill (write buffers, block cache, meters): they may grow by so much beside the tolerance.
LONG_SECONDS = 1800
FILLING_BYTES = 192 * 1024 * 1024


def sample(pid):
    """Bytes and counts of a process now."""
    fields = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        fields[name] = int(value) * 1024
    threads = len(os.listdir(f"/proc/{pid}/task"))
    sockets = files = 0
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        sockets += target.startswith("socket:")
        files += not target.startswith("socket:")
    return {"at": time.monotonic(), "rss": fields["Rss:"], "pss": fields["Pss:"], "anonymous": fields["Anonymous:"], "threads": threads, "sockets": sockets, "files": files}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def folder_bytes(path):
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                pass
    return total


class Watch:
    """Samples every few seconds until it is ended."""

    def __init__(self, pid, interval):
        self.pid, self.interval = pid, interval
        self.samples, self._ended = [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                self.samples.append(sample(self.pid))
            except (OSError, ValueError, KeyError):
                return  # it is gone: others notice
            if self._ended.wait(self.interval):
                return

    def end(self):
        self._ended.set()
        self._thread.join()

    def write(self, path):
        with open(path, "w") as out:
            out.write("seconds,rss,pss,anonymous,threads,sockets,files\n")
            for s in self.samples:
                out.write(f"{s['at'] - self.samples[0]['at']:.1f},{s['rss']},{s['pss']},{s['anonymous']},{s['threads']},{s['sockets']},{s['files']}\n")


def fitted(points):
    """Least squares: the slope per second, and its standard error. Of the medians of each minute: what is in flight comes and goes within one, and samples
    of one minute are no independent witnesses."""
    minutes = {}
    for x, y in points:
        minutes.setdefault(int(x // 60), []).append((x, y))
    points = [(statistics.mean(x for x, _ in part), statistics.median(y for _, y in part)) for part in minutes.values()]
    if len(points) < 4:
        return 0.0, 0.0
    line = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    mean = statistics.mean(x for x, _ in points)
    rest = sum((y - line.intercept - line.slope * x) ** 2 for x, y in points) / (len(points) - 2)
    return line.slope, (rest / sum((x - mean) ** 2 for x, _ in points)) ** 0.5


def judge(samples, seconds, tolerance):
    """Figures of the measured time, and what is not flat in them: the last quarter's median against the second's, and the line through the last three
    quarters, which counts as risen when it is above the tolerance by two standard errors."""
    if len(samples) < 8:
        return {}, [f"only {len(samples)} samples of memory"]
    n = len(samples)
    quarters = [samples[n * i // 4:n * (i + 1) // 4] for i in range(4)]
    late = samples[n // 4:]
    span = late[-1]["at"] - late[0]["at"]

    def median(part, name):
        return statistics.median(s[name] for s in part)
    figures, wrong = {}, []
    filling = 0 if seconds >= LONG_SECONDS else FILLING_BYTES
    for name in ("rss", "anonymous"):
        second, last = median(quarters[1], name), median(quarters[3], name)
        per_second, error = fitted([(s["at"], s[name]) for s in late])
        figures[name] = {"first": samples[0][name], "second_quarter": int(second), "last_quarter": int(last), "last": samples[-1][name], "max": max(s[name] for s in samples),
                         "slope_bytes_per_hour": int(per_second * 3600), "fitted_growth": round(per_second * span / second, 4),
                         "fitted_error": round(error * span / second, 4), "growth": round((last - second) / second, 4)}
        allowed = tolerance + filling / second
        for what, sure in (("fitted_growth", 2 * figures[name]["fitted_error"]), ("growth", 0)):
            if figures[name][what] - sure > allowed:
                wrong.append(f"{name} grew: {what} {figures[name][what]:.2%} (+- {sure:.2%}) of the second quarter's median, more than {allowed:.2%}")
    for name in ("threads", "sockets", "files"):
        figures[name] = {"second_quarter_max": max(s[name] for s in quarters[1]), "last_quarter_max": max(s[name] for s in quarters[3])}
    if figures["threads"]["last_quarter_max"] > figures["threads"]["second_quarter_max"]:
        wrong.append(f"threads: {figures['threads']}")
    # Connections come and go at random; the number of subscribers does not.
    if figures["sockets"]["last_quarter_max"] > figures["sockets"]["second_quarter_max"] * 1.1 + 16:
        wrong.append(f"sockets: {figures['sockets']}")
    return figures, wrong
