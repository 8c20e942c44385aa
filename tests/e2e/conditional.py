#!/usr/bin/python3
"""Changes on a condition: what an admin read is what the change replaces, or nothing is changed. Nobody's change is lost to another's."""
import concurrent.futures
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, main  # noqa: E402

PATH = "/v1/admin/parties/press"
WRITERS, CHANGES = 6, 5


def body(title):
    return {"title": title, "country": "FR", "collections": [], "adequacySchemes": []}


def put(client, title, if_match, path=PATH):
    return client.request("PUT", path, body(title), headers={"If-Match": if_match}, accept_status=(400, 409, 412))


def changes(context):
    """Lines of the audit about changes; how their barriers ended is written beside them, a little later."""
    lines = [json.loads(line) for line in context.client("auditor").get("/v1/admin/audit?limit=10000").body.splitlines()]
    return [line["seq"] for line in lines if not line["action"].startswith("barrier.")]


@case
def a_stale_change_is_refused_and_changes_nothing(context):
    admin = context.client("admin")
    admin.put(PATH, body("first"))
    read = admin.get(PATH)
    equal(admin.get(PATH).headers["ETag"], read.headers["ETag"], "validator of the same entry")
    equal(put(admin, "second", read.headers["ETag"]).status, 200, "a change of what was read")
    before = changes(context)
    for stale in (read.headers["ETag"], '"other"', 'W/' + admin.get(PATH).headers["ETag"], read.headers["ETag"].strip('"')):
        answer = put(admin, "third", stale)
        equal((answer.status, answer.json()["pointer"]), (412, "header:If-Match"), f"a change on {stale}")
    equal(admin.get(PATH).json()["title"], "second", "title")
    equal(changes(context), before, "changes in the audit")


@case
def any_of_several_and_anything_that_is_there(context):
    admin = context.client("admin")
    equal(put(admin, "fourth", '"other" , ' + admin.get(PATH).headers["ETag"]).status, 200, "one of two")
    equal(put(admin, "fifth", "*").status, 200, "anything")
    equal(put(admin, "sixth", "*", "/v1/admin/parties/nowhere").status, 412, "anything, where there is nothing")
    equal(admin.request("GET", "/v1/admin/parties/nowhere", accept_status=(404,)).status, 404, "still nothing")


@case
def no_change_of_many_writers_is_lost(context):
    admin = context.client("admin")
    admin.put(PATH, body("0"))

    def count_up(writer):
        client = context.client("admin")
        refused = 0
        for change in range(CHANGES):
            while True:
                read = client.get(PATH)
                answer = put(client, str(int(read.json()["title"]) + 1), read.headers["ETag"])
                if answer.status == 200:
                    break
                equal(answer.status, 412, "a refused change")
                refused += 1
            client.put(f"/v1/admin/parties/writer-{writer}", body(str(change)))  # another entry's change is no reason to refuse
        return refused

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        refused = sum(pool.map(count_up, range(WRITERS)))
    equal(admin.get(PATH).json()["title"], str(WRITERS * CHANGES), f"counted, with {refused} refused")
    if refused == 0:
        raise AssertionError("no two writers met: nothing was shown")


if __name__ == "__main__":
    sys.exit(main(Context))
