// npm eventsource on a stream: node eventsource.mjs URL, token in LICET_TOKEN. Writes a JSON line for everything that happens; ends with its standard input.
import { EventSource } from "eventsource";

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const token = process.env.LICET_TOKEN;
const source = new EventSource(process.argv[2], {
  fetch: (url, init) => {
    say({ asks: init.headers["Last-Event-ID"] ?? null });
    return fetch(url, { ...init, headers: { ...init.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) } });
  },
});
source.onopen = () => say({ open: true });
source.onmessage = (message) => say({ id: JSON.parse(message.data).id, cursor: message.lastEventId });
source.onerror = (error) => say({ error: error.code ?? null, closed: source.readyState === source.CLOSED });
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
