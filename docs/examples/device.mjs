/*
 * A whole device in Node: node device.mjs URL CHANNEL SENDER_ID STATE_FILE [--repair]
 *
 *     node device.mjs ws://127.0.0.1:8080/ws web tablet-reception-01 tablet.json
 *
 * Node 18 or later; before 22 with the package `ws` (Debian: node-ws). It asks to pair, waits for an administrator, sends
 * each line of its input as a text, prints what agents answer, and comes back by itself until it is revoked, denied or
 * replaced. `--repair` is its owner's wish to ask again after that. Everything of the protocol is in nodes-device.js.
 */

import { webcrypto } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

import { Device } from "../../templates/static/nodes-device.js";

const [url, channel, senderId, path] = process.argv.slice(2).filter((argument) => argument !== "--repair");
const repairs = process.argv.includes("--repair");

const say = (event, facts = {}) => console.log(JSON.stringify({ ...facts, event }));

/** What makes the device the same after a restart, in a file that nobody else reads; written whole or not at all. */
const store = {
  get: () => readFile(path, "utf8").then(JSON.parse, () => null),
  async put(record) {
    const file = await open(`${path}.new`, "w", 0o600);
    await file.writeFile(JSON.stringify(record));
    await file.sync();
    await file.close();
    await rename(`${path}.new`, path);
  },
};

const device = new Device({
  url, channel, store, asksAgain: true, crypto: globalThis.crypto ?? webcrypto,
  WebSocket: globalThis.WebSocket ?? createRequire(import.meta.url)("ws"),
  on: {
    state({ name, why, request, message, reason }) {
      if (name === "waiting") say("waiting", request);
      else if (name === "connected") say("connected");
      else if (name === "offline") say("disconnected", { message, reason });
      else if (name === "stopped" && !repairs) {
        say("stopped", { outcome: why, message, reason });
        process.exit(1);
      }
    },
    sent: (receipt) => say("accepted", receipt),
    refused: (messageId, { code, reason, message }) => say("given up", { messageId, code, reason, message }),
    message: (payload, event) => say(event, payload),
    failed: (payload) => say("message.failed", payload),
  },
});

await device.start();
const { name, why } = device.state;
if (name === "unpaired" || (name === "stopped" && repairs && why !== "replaced")) {
  await device.ask({ senderId, metadata: { platform: `Node ${process.version}` } });
}
for await (const text of createInterface({ input: process.stdin })) device.send({ text }).catch(() => {});
