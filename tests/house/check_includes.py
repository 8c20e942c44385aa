#!/usr/bin/env python3
"""The arrows of the house, checked on the includes: which folder may include which, and which folder alone may include a library.

Run from the source tree (ctest does): prints every include that breaks an arrow and ends non-zero if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder -> folders it may include, itself always. The longest matching prefix is a file's folder.
CORE = ["base"]
ARROWS = {
    "base": [],
    "event": CORE,
    "policy": CORE + ["event"],
    "metering": CORE,
    "server/ports": CORE + ["event", "policy", "metering"],
    "server/app": CORE + ["event", "policy", "metering", "server/ports"],
    "server/exports": CORE + ["metering", "server/ports"],
    "server/xlsx": CORE + ["server/ports"],
    "server/spdlog": CORE + ["server/ports"],
    "server/prometheus": CORE + ["server/ports"],
    "server/openssl": CORE + ["event", "policy", "server/ports"],
    "server/rocksdb": CORE + ["event", "server/ports"],
    "server/journal": CORE + ["metering", "server/ports"],
    "server/postgres": CORE + ["event", "policy", "metering", "server/ports"],
    "server/redis": CORE + ["metering", "server/ports"],
    "server/beast": CORE + ["server/ports"],
    "server/config": CORE,
    "server/stream": CORE + ["event", "policy", "metering", "server/ports", "server/app"],
    "server/stream/ingest": CORE + ["event", "policy", "server/ports", "server/app"],
    "server/stream/delivery": CORE + ["event", "policy", "metering", "server/ports", "server/app", "server/stream"],
    "server/stream/edge": CORE + ["event", "policy", "metering", "server/ports", "server/app", "server/stream", "server/stream/ingest",
                                  "server/stream/delivery"],
    "server/control": CORE + ["event", "policy", "metering", "server/ports", "server/app", "server/exports"],
    "server/main": ["*"],
}

# Library headers -> the only folders that may include them.
LIBRARIES = {
    r"openssl/": ["server/openssl"],
    r"spdlog/": ["server/spdlog"],
    r"prometheus/": ["server/prometheus"],
    r"rocksdb/": ["server/rocksdb"],
    r"pqxx": ["server/postgres"],
    r"libpq": ["server/postgres"],
    r"hiredis/": ["server/redis"],
    r"pistache/": ["server/control"],
    r"boost/multiprecision/": ["metering"],
    r"boost/(?!multiprecision/)": ["server/stream", "server/beast", "server/main"],
    r"simdjson": ["server/stream/ingest"],
    r"google/protobuf/": ["server/stream/ingest", "server/stream/delivery"],
    r"re2/": ["policy"],
    r"toml\+\+/": ["server/config"],
    r"CLI/": ["server/main"],
    r"xlsxwriter": ["server/xlsx"],
}
# What the pure core may not touch at all, beside the libraries above.
IMPURE = re.compile(r"^(unistd\.h|fcntl\.h|sys/|netinet/|fstream|filesystem|thread|iostream|random|cstdio)$|^(sys/|netinet/)")
PURE = {"event", "policy", "metering"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path: str) -> str:
    parts = path.split("/")[:-1]
    while parts and "/".join(parts) not in ARROWS:
        parts.pop()
    return "/".join(parts)


def check() -> list[str]:
    broken = []
    files = [p for top in ("base", "event", "policy", "metering", "server") for p in (ROOT / top).rglob("*") if p.suffix in (".h", ".cpp")]
    if not files:
        return ["no sources found"]
    for file in sorted(files):
        name = file.relative_to(ROOT).as_posix()
        folder = folder_of(name)
        if not folder:
            broken.append(f"{name}: lives in no room of the house (add it to ARROWS)")
            continue
        may = ARROWS[folder]
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            kind, target = found.groups()
            if kind == '"':
                to = folder_of(target)
                if not (ROOT / target).exists() and not target.startswith("generated/"):
                    broken.append(f'{name}:{number}: "{target}" is not written from the root')
                elif to and to != folder and "*" not in may and to not in may:
                    broken.append(f"{name}:{number}: {folder} may not include {to}")
            else:
                for library, owners in LIBRARIES.items():
                    if re.match(library, target) and not any(folder == o or folder.startswith(o + "/") for o in owners):
                        broken.append(f"{name}:{number}: <{target}> belongs to {', '.join(owners)}")
                if folder in PURE and IMPURE.match(target):
                    broken.append(f"{name}:{number}: <{target}> has no place in the pure core")
    return broken


if __name__ == "__main__":
    found = check()
    print("\n".join(found) if found else "includes: every arrow holds")
    sys.exit(1 if found else 0)
