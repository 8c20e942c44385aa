// One case by name: writes events with the CloudEvents SDK, reads them back with it, and compares. Run by tests/e2e/sdk.py, which gives the rest as
// JSON in LICET_SDK: url, product, write and read (tokens), proto (path of the schema).
import assert from "node:assert/strict";
import { CloudEvent, HTTP, Mode, emitterFor } from "cloudevents";
import protobuf from "protobufjs";
import WebSocket from "ws";

const setting = JSON.parse(process.env.LICET_SDK);
const path = `${setting.url}/v1/products/${setting.product}/events`;
const writing = { authorization: `Bearer ${setting.write}` };
const reading = { authorization: `Bearer ${setting.read}` };
const JSON_BATCH = "application/cloudevents-batch+json";
const PROTOBUF = "application/cloudevents+protobuf";

const made = (id, more = {}) =>
  new CloudEvent({
    id: `sdk-${id}`, source: "https://courier.example.org/sdk", type: "org.example.sdk", time: "2026-03-01T10:00:00.250Z", subject: "with blanks",
    datacontenttype: "application/json", sequence: 7, fresh: true, partitionkey: "p1",
    data: { licence: "CC-BY-4.0", country: "DE", headline: "é 🙂", list: [1, 2.5, null] }, ...more,
  });

async function post(headers, body, expected = 200) {
  const response = await fetch(path, { method: "POST", headers: { ...writing, ...headers }, body });
  const text = await response.text();
  assert.equal(response.status, expected, text);
  return JSON.parse(text);
}

async function pulled(accept, from) {
  const response = await fetch(`${path}?from=${from}`, { headers: { ...reading, accept } });
  assert.equal(response.status, 200);
  return { type: response.headers.get("content-type"), cursor: response.headers.get("licet-cursor"), body: Buffer.from(await response.arrayBuffer()) };
}

const end = async () => (await pulled(JSON_BATCH, "latest")).cursor;

// What the SDK makes of a page of the JSON batch.
async function events(from) {
  const page = await pulled(JSON_BATCH, from);
  const found = HTTP.toEvent({ headers: { "content-type": page.type }, body: page.body.toString() });
  for (const event of found) assert.equal(event.validate(), true);
  return found;
}

// A delivered event against the one published: the server adds `cursor`, and what the mapping says.
function same(found, sent, text = []) {
  for (const name of ["id", "source", "type", "time", "subject", "datacontenttype"]) assert.equal(found[name], sent[name], name);
  for (const name of ["sequence", "fresh", "partitionkey"]) assert.deepEqual(found[name], text.includes(name) ? String(sent[name]) : sent[name], name);
  assert.deepEqual(found.data, sent.data);
  assert.equal(found.license, "CC-BY-4.0");
  assert.equal(typeof found.cursor, "string");
}

// The first `count` messages over a WebSocket.
function messages(protocol, from, count) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${path.replace("http", "ws")}?from=${from}`, protocol, { headers: reading });
    const found = [];
    socket.on("error", reject);
    socket.on("close", (code) => (found.length < count ? reject(new Error(`closed: ${code}`)) : resolve(found)));
    socket.on("message", (data, binary) => {
      found.push({ data, binary });
      if (found.length === count) socket.close();
    });
  });
}

async function schema() {
  const root = await protobuf.load(setting.proto);
  return { one: root.lookupType("io.cloudevents.v1.CloudEvent"), batch: root.lookupType("io.cloudevents.v1.CloudEventBatch") };
}

// An SDK event as the protobuf format has it, and back.
function toProtobuf(event) {
  const attributes = {};
  for (const [name, value] of Object.entries(event.toJSON())) {
    if (["id", "source", "type", "specversion", "data", "data_base64"].includes(name) || value === undefined) continue;
    if (name === "time") {
      const at = Date.parse(value);
      attributes[name] = { ceTimestamp: { seconds: Math.floor(at / 1000), nanos: (at % 1000) * 1e6 } };
    } else {
      attributes[name] = typeof value === "boolean" ? { ceBoolean: value } : typeof value === "number" ? { ceInteger: value } : { ceString: value };
    }
  }
  return { id: event.id, source: event.source, specVersion: event.specversion, type: event.type, attributes, textData: JSON.stringify(event.data) };
}

function fromProtobuf(type, message) {
  const plain = type.toObject(message, { longs: Number, defaults: false });
  const attributes = {};
  for (const [name, value] of Object.entries(plain.attributes)) {
    const at = value.ceTimestamp;
    attributes[name] = at ? new Date(at.seconds * 1000 + (at.nanos ?? 0) / 1e6).toISOString() : Object.values(value)[0];
  }
  return new CloudEvent({ id: plain.id, source: plain.source, type: plain.type, specversion: plain.specVersion, ...attributes, data: JSON.parse(plain.textData) });
}

const cases = {
  async structured() {
    const from = await end();
    const sent = made("structured", { subject: "“é” 🙂" }); // in binary mode the SDK leaves headers unencoded: ASCII there
    const { headers, body } = HTTP.structured(sent);
    assert.equal((await post(headers, body)).accepted, 1);
    const found = await events(from);
    assert.equal(found.length, 1);
    same(found[0], sent);
  },

  async binary() {
    const from = await end();
    const sent = made("binary");
    const { headers, body } = HTTP.binary(sent);
    assert.equal((await post(headers, body)).accepted, 1);
    same((await events(from))[0], sent, ["sequence", "fresh"]); // headers have no types
  },

  async emitter() {
    const from = await end();
    const answers = [];
    const transport = async ({ headers, body }) => answers.push(await post(headers, body));
    for (const mode of [Mode.STRUCTURED, Mode.BINARY]) await emitterFor(transport, { mode })(made(`emitted-${mode}`));
    assert.deepEqual(answers.map((a) => a.accepted), [1, 1]);
    assert.deepEqual((await events(from)).map((e) => e.id), ["sdk-emitted-structured", "sdk-emitted-binary"]);
  },

  async batch() {
    const from = await end();
    const sent = ["a", "b", "c"].map((id) => made(`batch-${id}`));
    assert.equal((await post({ "content-type": JSON_BATCH }, JSON.stringify(sent))).accepted, 3);
    const found = await events(from);
    found.forEach((event, n) => same(event, sent[n]));
    assert.equal(found.length, 3);
    // Bytes the SDK carries as data_base64; what they are said to be decides.
    const bytes = made("bytes", { data: undefined, data_base64: Buffer.from(JSON.stringify(sent[0].data)).toString("base64") });
    assert.equal((await post({ "content-type": JSON_BATCH }, JSON.stringify([bytes]))).accepted, 1);
    assert.deepEqual((await events(found[2].cursor))[0].data, sent[0].data);
  },

  async websocket_json() {
    const from = await end();
    const sent = made("websocket");
    const { headers, body } = HTTP.structured(sent);
    await post(headers, body);
    const [message] = await messages("cloudevents.json", from, 1);
    assert.equal(message.binary, false);
    const found = HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body: message.data.toString() });
    assert.equal(found.validate(), true);
    same(found, sent);
  },

  async protobuf() {
    const from = await end();
    const { one, batch } = await schema();
    const sent = ["a", "b"].map((id) => made(`protobuf-${id}`, { subject: "“é” 🙂" }));
    assert.equal((await post({ "content-type": PROTOBUF }, one.encode(one.fromObject(toProtobuf(sent[0]))).finish())).accepted, 1);
    const two = batch.encode(batch.fromObject({ events: sent.map(toProtobuf) })).finish();
    const answer = await post({ "content-type": "application/cloudevents-batch+protobuf" }, two);
    assert.deepEqual([answer.accepted, answer.duplicates], [1, 1]);
    assert.equal((await post({ "content-type": JSON_BATCH }, JSON.stringify(sent))).duplicates, 2);

    const page = await pulled("application/cloudevents-batch+protobuf", from);
    const paged = batch.decode(page.body).events.map((event) => fromProtobuf(one, event));
    const streamed = (await messages(["cloudevents.proto", "cloudevents.json"], from, 2)).map(({ data, binary }) => {
      assert.equal(binary, true);
      return fromProtobuf(one, one.decode(data));
    });
    for (const found of [paged, streamed, await events(from)]) {
      assert.equal(found.length, 2);
      found.forEach((event, n) => same(event, sent[n]));
    }
    const broken = await post({ "content-type": PROTOBUF }, two.subarray(0, two.length - 1), 400);
    assert.equal(broken.type, "https://licet.dev/problems/invalid-protobuf");
  },
};

const name = process.argv[2];
await cases[name]();
console.log(`ok ${name}`);
