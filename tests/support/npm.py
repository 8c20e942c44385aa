"""Clients of tests/sdk for e2e scripts: installed from npm once, by the lockfile, under .dev/. Where npm or its registry is out of reach, the reason is returned and the case is skipped."""
import hashlib
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = ROOT / "tests" / "sdk"
INSTALL_TIMEOUT_S = 180


def install():
    """(folder with node_modules and the scripts, None), or (None, why not)."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return None, "no npm on this machine"
    lock = SDK / "package-lock.json"
    folder = ROOT / ".dev" / ("sdk-" + hashlib.sha256(lock.read_bytes()).hexdigest()[:16])
    folder.mkdir(parents=True, exist_ok=True)
    for path in SDK.iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    done = folder / "installed"
    if not done.exists():
        try:
            run = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, capture_output=True, text=True,
                                 timeout=INSTALL_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return None, f"npm did not answer within {INSTALL_TIMEOUT_S} s"
        if run.returncode != 0:
            if "EINTEGRITY" in run.stderr or "EUSAGE" in run.stderr:
                raise AssertionError("the lockfile does not fit what it names: " + run.stderr[-1000:])
            lines = [line for line in run.stderr.splitlines() if line.strip()]
            return None, "npm could not install: " + (lines[-1] if lines else f"it ended with {run.returncode}")
        done.touch()
    return folder, None
