// What nodes-device.js does, against a server that the test plays frame by frame; run by test_device_module.py.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

const { Device } = await import(process.env.MODULE);
const crypto = globalThis.crypto ?? webcrypto;

/** Resolves when `condition` is true. */
async function until(condition, what) {
  for (let tries = 0; tries < 1000; tries++) {
    if (condition()) return;
    await pause(10);
  }
  assert.fail(`still not: ${what}`);
}

/** A server: `answers[method]` is called with the parameters and the socket, and returns a payload or throws an error. */
function serve(answers) {
  const server = { sockets: [], calls: [] };
  server.WebSocket = class {
    readyState = 0;
    constructor() {
      server.sockets.push(this);
      queueMicrotask(() => { this.readyState = 1; this.onopen?.(); });
    }
    send(text) {
      const { id, method, params } = JSON.parse(text);
      server.calls.push({ method, params, socket: this });
      const answer = { health: () => ({}), "device.challenge": () => ({ nonce: "n", ts: 1 }), connect: () => PAIRED, ...answers }[method];
      queueMicrotask(() => {
        try {
          const payload = answer(params, this);
          if (payload !== undefined) this.hear({ type: "res", id, ok: true, payload });
        } catch (error) {
          this.hear({ type: "res", id, ok: false, error });
        }
      });
    }
    hear(frame) { this.onmessage?.({ data: JSON.stringify(frame) }); }
    tell(event, payload) { this.hear({ type: "event", event, payload }); }
    close(code = 1000, reason = "") {
      this.readyState = 3;
      queueMicrotask(() => this.onclose?.({ code, reason }));
    }
  };
  server.of = (method) => server.calls.filter((call) => call.method === method);
  return server;
}

const PAIRED = { status: "paired", limits: { maxBodyBytes: 100 } };
const refusal = (code, reason, more = {}) => ({ code, message: reason, details: { reason }, ...more });

/** A device that has asked before, and what it told. */
async function start(server, options = {}) {
  const kept = { record: { senderId: "tablet-1", token: "t", asked: true, received: 0 } };
  const told = { states: [], messages: [] };
  const store = { get: async () => structuredClone(kept.record), put: async (record) => { kept.record = structuredClone(record); } };
  const device = new Device({
    url: "wss://nodes.example.org/ws", channel: "web", store, crypto, locks: null, WebSocket: server.WebSocket,
    on: { state: (state) => told.states.push(state), message: (message) => told.messages.push(message.messageSeq), ...options.on },
    ...options.more,
  });
  await device.start();
  return { device, kept, told };
}

const reached = (device, name) => until(() => device.state.name === name, `${name} (it is ${device.state.name})`);

test("a socket on which nothing comes any more is noticed, and another is opened", async () => {
  let isDead = true;
  const server = serve({ health: () => (isDead ? undefined : {}) });
  const { device } = await start(server, { more: { heartbeat: { silenceMs: 100, answerMs: 100 } } });
  await reached(device, "connected");
  await reached(device, "offline");
  isDead = false;
  await reached(device, "connected");
  assert.equal(server.sockets.length, 2);
  // While answers come, it stays.
  await pause(500);
  assert.equal(server.sockets.length, 2);
  device.stop();
});

test("a message that was refused for now is sent again under its name, and none behind it is lost", async () => {
  let isFull = true;
  const accepted = [];
  const server = serve({
    "message.send": ({ messageId, message }) => {
      if (isFull) throw refusal("RESOURCE_EXHAUSTED", "unanswered", { retryable: true, retryAfterMs: 200 });
      if (message === "bad") throw refusal("INVALID_REQUEST", "invalid_message");
      accepted.push(message);
      return { messageId, messageSeq: accepted.length, status: "accepted" };
    },
  });
  const { device, kept } = await start(server);
  await reached(device, "connected");
  const sent = ["a", "bad", "b"].map((message) => device.send(message));
  await until(() => kept.record.outbox?.length === 3, "all are kept");
  await until(() => server.of("message.send").length === 3, "all were tried");
  isFull = false;
  const before = Date.now();
  const outcomes = await Promise.allSettled(sent);
  assert.ok(Date.now() - before < 2000);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.equal(outcomes[1].reason.reason, "invalid_message");
  assert.deepEqual(accepted, ["a", "b"]);
  const names = server.of("message.send").map(({ params }) => params.messageId);
  assert.deepEqual(names.slice(3), names.slice(0, 3));
  await until(() => kept.record.outbox.length === 0, "nothing is kept any more");
  // What would end the connection is not sent at all.
  await assert.rejects(device.send("x".repeat(200)), { reason: "message_too_large" });
  device.stop();
});

test("what was not accepted goes again with the next connection, and so it does after a restart", async () => {
  const server = serve({ "message.send": (_, socket) => socket.close(1012) });
  const { device, kept } = await start(server);
  await reached(device, "connected");
  device.send("hello", { messageId: "m" }).catch(() => {});
  await reached(device, "offline");
  device.stop();
  assert.deepEqual(kept.record.outbox.map(({ messageId, message }) => [messageId, message]), [["m", "hello"]]);
  const later = serve({ "message.send": () => ({ messageId: "m", messageSeq: 1, status: "accepted" }) });
  const receipts = [];
  const store = { get: async () => structuredClone(kept.record), put: async () => {} };
  const again = new Device({
    url: "wss://nodes.example.org/ws", channel: "web", store, crypto, locks: null, WebSocket: later.WebSocket,
    on: { sent: (receipt) => receipts.push(receipt.messageSeq) },
  });
  await again.start();
  await until(() => receipts.length, "it was accepted");
  again.stop();
});

test("a message is handed over once, and acknowledged only when that is done", async () => {
  const server = serve({ "message.ack": () => ({}) });
  let isBroken = true;
  const handled = [];
  const message = async ({ messageSeq }) => {
    if (isBroken) throw new Error("no room");
    handled.push(messageSeq);
  };
  const { device, kept } = await start(server, { on: { message } });
  await reached(device, "connected");
  server.sockets[0].tell("message", { messageSeq: 1, message: "hello" });
  await reached(device, "offline");
  assert.equal(server.of("message.ack").length, 0);
  isBroken = false;
  await reached(device, "connected");
  for (const messageSeq of [1, 2, 1]) server.sockets[1].tell("message", { messageSeq, message: "hello" });
  await until(() => server.of("message.ack").length === 3, "all are acknowledged");
  assert.deepEqual(handled, [1, 2]);
  assert.equal(kept.record.received, 2);
  device.stop();
});

test("it stops when it was revoked, replaced or denied, and does not come back by itself", async () => {
  for (const [code, why] of [[4001, "revoked"], [4002, "replaced"], [4003, "denied"]]) {
    const server = serve({});
    const { device, kept } = await start(server);
    await reached(device, "connected");
    server.sockets[0].close(code, "a reason");
    await reached(device, "stopped");
    assert.equal(device.state.why, why);
    await pause(1200);
    assert.equal(server.sockets.length, 1);
    // A restart knows it without asking; one that was replaced may be used again.
    assert.equal(kept.record.ended?.why, why === "replaced" ? undefined : why);
  }
});

test("a refusal to connect says whether it is for good, for now, or to ask again", async () => {
  for (const [error, name, why] of [
    [refusal("NOT_PAIRED", "revoked"), "stopped", "revoked"],
    [refusal("NOT_PAIRED", "expired"), "stopped", "expired"],
    [refusal("NOT_PAIRED", "unknown"), "stopped", "unknown"],
    [refusal("FORBIDDEN", "lite_edition"), "stopped", "refused"],
    [refusal("UNAVAILABLE", "database_unavailable", { retryable: true, retryAfterMs: 700 }), "offline"],
    [refusal("UNAUTHORIZED", "nonce_mismatch"), "offline"],
  ]) {
    const server = serve({ connect: () => { throw error; } });
    const { device } = await start(server);
    await reached(device, name);
    assert.equal(device.state.why, why);
    if (error.retryAfterMs) {
      await pause(650);
      assert.equal(server.sockets.length, 1);
    }
    device.stop();
  }
});

test("proofs are signed for what is dialled, by a key that is made once", async () => {
  const server = serve({ "device.pair.request": () => ({ requestId: "r", code: "ABCD-EFGH", status: "pending", expiresInMs: 1000 }) });
  const kept = {};
  const store = { get: async () => kept.record, put: async (record) => { kept.record = JSON.parse(JSON.stringify(record)); } };
  const device = new Device({ url: "wss://Nodes.Example.org:443/ws", channel: "web", store, crypto, locks: null, WebSocket: server.WebSocket });
  await device.start();
  assert.equal(device.state.name, "unpaired");
  assert.equal(server.sockets.length, 0);
  await device.ask({ senderId: "tablet-1" });
  await reached(device, "waiting");
  const [{ params: { publicKey, proof } }] = server.of("device.pair.request");
  const text = `nodes-v1|pair|https://nodes.example.org|web|tablet-1|${publicKey}|1|n`;
  const key = await crypto.subtle.importKey("raw", Buffer.from(publicKey, "base64url"), "Ed25519", false, ["verify"]);
  assert.ok(await crypto.subtle.verify("Ed25519", key, Buffer.from(proof.signature, "base64url"), Buffer.from(text)));
  device.stop();
});

test("a conversation is named with a message, also after a reload, and its history is asked for page by page", async () => {
  const server = serve({
    "message.send": ({ messageId }) => ({ messageId, messageSeq: 1, status: "accepted" }),
    "message.history": ({ before, conversation }) =>
      before ? { messages: [] } : { messages: [{ from: "device", message: conversation }], before: { sent: 1 } },
  });
  const { device } = await start(server);
  await assert.rejects(device.history(), (error) => error.reason === "disconnected");
  await reached(device, "connected");
  await device.send("a", { conversation: "kitchen" });
  assert.equal(server.of("message.send")[0].params.conversation, "kitchen");
  const page = await device.history({ conversation: "kitchen", limit: 1 });
  assert.deepEqual(page.messages, [{ from: "device", message: "kitchen" }]);
  assert.deepEqual((await device.history({ before: page.before })).messages, []);
  device.stop();
});
