"""Holds every answer the e2e scripts get against api/openapi.json: its status and media type must be described, its body must be what the schema says, and no member may be
undescribed. Installed by harness.main; what differs fails the script at its end. Needs python3-jsonschema.
"""
import copy
import json
import pathlib
import re

import jsonschema

import licet_client

DOCUMENT = json.loads((pathlib.Path(__file__).resolve().parents[2] / "api" / "openapi.json").read_text())
_LINES = "application/x-ndjson"
_LOOKED_AT_MAX = 100  # documents of one answer: the rest come from the same code


def _pattern(path):
    return re.compile("".join(r"[^/:]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", path)) + "$")


# Templates last: /policies:shadow is no name of a policy.
_ROUTES = [(_pattern(path), path, item) for path, item in sorted(DOCUMENT["paths"].items(), key=lambda entry: entry[0].count("{"))]


def _resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"][2:].split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _closed(schema, within=False):
    """The schema with references resolved, and objects closed that say nothing about further members; parts of an allOf are closed by the whole."""
    if not isinstance(schema, dict):
        return schema
    schema = copy.copy(_resolve(schema))
    for key in ("properties", "$defs", "patternProperties"):
        if key in schema:
            schema[key] = {name: _closed(part) for name, part in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = _closed(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            schema[key] = [_closed(part, within=True) for part in schema[key]]
    named = any(key in schema for key in ("properties", "allOf", "anyOf", "oneOf"))
    if named and not within and "additionalProperties" not in schema:
        schema["unevaluatedProperties"] = False
    return schema


class Checker:
    def __init__(self):
        self.differences = {}  # text -> how often
        self._validators = {}

    def observe(self, method, target, answer):
        path = target.split("?")[0]
        for pattern, template, item in _ROUTES:
            if pattern.match(path):
                return self._operation(method, template, item, answer)
        return None  # what is no route is answered by the problem every unknown path gets

    def _operation(self, method, template, item, answer):
        where = f"{method} {template} {answer.status}"
        operation = item.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            return None if answer.status in (401, 404, 405) else self._differs(f"{where}: no such method is described")
        if str(answer.status) not in operation["responses"]:
            return self._differs(f"{where}: not described")
        content = _resolve(operation["responses"][str(answer.status)]).get("content", {})
        media = answer.headers.get("Content-Type", "").split(";")[0].strip()
        if method == "HEAD" or not content and not answer.body:
            return None
        if media not in content:
            return self._differs(f"{where}: media type {media or 'none'} is not described")
        schema = content[media].get("schema")
        if media == _LINES and schema is not None:
            schema = schema["contentSchema"]
        if "json" not in media or schema is None:
            return None
        key = (template, method, answer.status, media)
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft202012Validator(_closed(schema))
        for document in self._documents(media, answer.body):
            for error in self._validators[key].iter_errors(document):
                self._differs(f"{where}: /{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
        return None

    @staticmethod
    def _documents(media, body):
        if media == _LINES:
            return [json.loads(line) for line in body.split(b"\n")[:_LOOKED_AT_MAX] if line]
        document = json.loads(body)
        return [document[:_LOOKED_AT_MAX] if isinstance(document, list) else document]

    def _differs(self, text):
        self.differences[text] = self.differences.get(text, 0) + 1


def install():
    """From now on every answer to any Client is looked at."""
    checker = Checker()
    plain = licet_client.Client.raw

    def raw(self, method, path, body=None, headers=None):
        answer = plain(self, method, path, body, headers)
        checker.observe(method, path, answer)
        return answer

    licet_client.Client.raw = raw
    return checker
