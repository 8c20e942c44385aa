"""What research may see of complaints, from the rows and the list of who withdrew alone. Knows nothing of policies, mappings or how the server decides.

Of a row with consent everything but the principal leaves; of any other only the facts, to science; to the press nothing.
"""
import json

PROVIDED = "Consent provided"
NOT_PROVIDED = "Consent not provided"


def events_of(rows):
    """One event per row. The file names no principals: the nth row of each answer in the first half and in the second are one person's, so that everybody has a row before
    and after the middle. Most rows without consent have no narrative in the file; they get a text in its place, so that there is something to hold back."""
    half = (len(rows) + 1) // 2
    seen, out = {}, []
    for number, row in enumerate(rows):
        answer = row.get("consumer_consent_provided")
        key = (number >= half, answer)
        seen[key] = seen.get(key, 0) + 1
        facts = {k: row.get(k) for k in ("date_received", "product", "issue", "company", "state", "submitted_via")}
        out.append({"row": number, "principal": f"writer-{answer}-{seen[key]}@complaints.example.org", **facts,
                    "narrative": row.get("consumer_complaint_narrative") or f"What the writer of row {number} told „in confidence“ \\ \n", "answer": answer})
    return out, half


def text(event):
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def expected(partner, events, withdrawn):
    """The data of the events the partner gets, in order, to the byte."""
    out = []
    for event in events:
        told = event["answer"] == PROVIDED and event["principal"] not in withdrawn
        if not told and partner != "complaint-lab":
            continue
        hidden = {"principal"} if told else {"principal", "narrative"}
        out.append(text({k: v for k, v in event.items() if k not in hidden}).encode())
    return out
