/**
 * A device of GoClaw Nodes: it asks to pair, waits, connects, sends, acknowledges and comes back by itself, as
 * docs/device-developers.md describes. One file without dependencies for browsers, for apps' web views (copy it into
 * the app; its origin belongs in `gateway.device_origins`) and for Node 18 and later. Apache License 2.0.
 *
 *     const device = new Device({
 *       url: "wss://nodes.example.org/ws", channel: "web", store: browserStore(),
 *       on: { state: show, message: async (message) => keep(message), part: ({ inReplyTo, text }) => append(text) },
 *     });
 *     await device.start();                                 // goes on where the last page or process stopped
 *     if (device.state.name === "unpaired") await device.ask({ senderId: "tablet-reception-01" });
 *     await device.send({ type: "text", text: "Hello" });   // resolves once it is accepted
 *
 * The document says what the states are, and what the functions under `on` are given.
 */

/** The close codes after which a device does not come back by itself. */
const ENDS = { 4001: "revoked", 4002: "replaced", 4003: "denied" };
/** Refusals that a new connection mends, though the same request would be refused again. */
const MENDED = new Set(["nonce_mismatch", "signed_at_out_of_range", "pending", "not_connected", "session_ended"]);
/** How many messages are on their way at once. */
const WINDOW = 16;
/** How long a connection lasts before the next wait begins small again; the least and the greatest wait. */
const PACE = { lasted: 30_000, least: 1000, most: 60_000 };
/** After what silence the server is asked for a sign of life, and how long that may take. */
const HEARTBEAT = { silenceMs: 25_000, answerMs: 10_000 };

/** What the server refused, or `UNAVAILABLE` with reason `disconnected` where there was no answer. */
export class DeviceError extends Error {
  constructor({ code, message, details = {}, retryable = false, retryAfterMs = 0 }) {
    super(message);
    Object.assign(this, { name: "DeviceError", code, reason: details.reason ?? "", details, retryable, retryAfterMs });
  }
}

const failure = (code, reason, message) => new DeviceError({ code, message, details: { reason } });
const disconnected = (message) => failure("UNAVAILABLE", "disconnected", message);

/** The device must not come back by itself. */
class Stop extends Error {
  constructor(why, { message = "", reason = "", retryAfterMs = 0 } = {}) {
    super(message);
    this.state = { name: "stopped", why, message, reason };
    if (retryAfterMs) this.state.retryAt = Date.now() + retryAfterMs;
  }
}

/** Waits; no longer when `signal` is aborted, or what `wake` is given is called. */
function pause(delay, signal, wake = () => {}) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delay);
    signal.addEventListener("abort", done);
    wake(done);
  });
}

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Keeps a device in IndexedDB, its key such that no script can read it.
 *
 * A store of one's own has `get()` and `put(record)`, which return promises; `put(null)` forgets. It gets what JSON can
 * hold, the private key among it, unless it says `keepsKeys: true`, as one may that holds a `CryptoKey`.
 */
export function browserStore(name = "device") {
  const answer = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  async function run(mode, action) {
    const opening = indexedDB.open("goclaw-nodes", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("devices");
    const database = await answer(opening);
    try {
      return await answer(action(database.transaction("devices", mode).objectStore("devices")));
    } finally {
      database.close();
    }
  }
  return {
    keepsKeys: true,
    get: () => run("readonly", (devices) => devices.get(name)),
    put: (record) => run("readwrite", (devices) => record ? devices.put(record, name) : devices.delete(name)),
  };
}

/** One socket: requests and answers, events, and a heartbeat of its own, as pages can't see the server's pings. */
class Line {
  #socket; #calls = new Map(); #count = 0; #heardAt = Date.now(); #askedAt = 0;

  constructor(Socket, url, { silenceMs, answerMs }, onEvent) {
    const socket = this.#socket = new Socket(url);
    this.opened = new Promise((resolve) => { socket.onopen = resolve; });
    /** Resolves when it is closed. */
    this.closed = new Promise((resolve) => { this.end = (code, reason) => resolve({ code, reason }); });
    socket.onclose = ({ code, reason }) => this.end(code, reason);
    socket.onerror = () => {};
    socket.onmessage = ({ data }) => {
      [this.#heardAt, this.#askedAt] = [Date.now(), 0];
      const frame = JSON.parse(data);
      if (frame.type === "event") onEvent(frame.event, frame.payload);
      else this.#answered(frame);
    };
    const timer = setInterval(() => {
      if (this.#askedAt && Date.now() - this.#askedAt >= answerMs) this.drop("The server fell silent.");
      else if (Date.now() - this.#heardAt >= silenceMs) this.check();
    }, answerMs / 2);
    this.closed.then(({ code, reason }) => {
      this.code = code;
      clearInterval(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      for (const call of this.#calls.values()) call.reject(disconnected(reason || "The connection was lost."));
    });
  }

  #answered({ id, ok, payload, error }) {
    // The answer to a frame whose id could not be read belongs to the request whose turn it is.
    const key = id ?? this.#calls.keys().next().value;
    const call = this.#calls.get(key);
    this.#calls.delete(key);
    if (ok) call?.resolve(payload);
    else call?.reject(new DeviceError(error));
  }

  request(method, params = {}) {
    return new Promise((resolve, reject) => {
      if (this.code !== undefined || this.#socket.readyState !== 1) return reject(disconnected("Not connected."));
      const id = String(++this.#count);
      this.#calls.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  /** Asks for a sign of life; without one the connection is given up. */
  check() {
    if (this.#askedAt) return;
    this.#askedAt = Date.now();
    this.request("health").catch(() => {});
  }

  /** Ends it now: a dead network would answer no close frame for minutes. */
  drop(reason = "") {
    this.end(1006, reason);
    this.#socket.close();
  }
}

/** A device: one identity, one credential, at most one session. Its methods may be called at any time. */
export class Device {
  /** What a person should be told; `on.state` is called with every new one. @type {State} */
  state = { name: "connecting" };
  #options; #record = null; #life = null; #line = null; #isHeld = false; #isConnected = false; #heldUntil = 0;
  #outbox = []; #saving = Promise.resolve(); #save = null; #handling = Promise.resolve(); #wake = () => {};

  /**
   * @param {object} options
   * @param {string} options.url Where the server is; in a browser `/ws` means the page's own.
   * @param {string} options.channel The kind of device: `web`, `mobile`, `iot`.
   * @param {object} options.store Where it is kept; see `browserStore`.
   * @param {object} [options.on] `state(state)`, `message(payload, event)`, `part(payload)`, `failed(payload)`,
   *   `kept(messageId)` for messages that a reload does not lose any more, `sent(receipt)` for those that were
   *   accepted, `refused(messageId, error)` for those given up,
   *   `event(event, payload)` for everything else. `message` is awaited before its number is stored and acknowledged;
   *   where it throws, the message comes again.
   * @param {boolean} [options.asksAgain] Whether it asks to pair again by itself when nobody decided in time.
   * @param {object} [options.heartbeat] See `HEARTBEAT`, which it defaults to.
   * @param {Function} [options.WebSocket] For Node before 22, that of the package `ws`; `crypto` and `locks` likewise.
   */
  constructor(options) {
    const url = new URL(options.url, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    const { WebSocket, crypto, navigator, document } = globalThis;
    this.#options = {
      on: {}, asksAgain: false, heartbeat: HEARTBEAT, WebSocket, crypto, locks: navigator?.locks, ...options,
      // Proofs are signed for what is dialled, whatever page or app dials it.
      url: url.href, origin: `${url.protocol === "wss:" ? "https" : "http"}://${url.host}`,
    };
    const look = () => document?.hidden || this.retryNow();
    globalThis.addEventListener?.("online", look);
    document?.addEventListener("visibilitychange", look);
  }

  /** The device's name, where it has one. */
  get senderId() { return this.#record?.senderId; }

  /** Goes on where the store says; asks nobody to pair who was not asked before. */
  async start() {
    if (this.#life) return;
    this.#record = (await this.#options.store.get()) ?? null;
    if (!this.#record) this.#say({ name: "unpaired" });
    else if (this.#record.ended) this.#say(this.#record.ended);
    else this.#begin();
  }

  /** Asks to pair: its owner's wish, also after it was denied, revoked or too late. */
  async ask({ senderId, displayName, metadata }) {
    this.stop();
    const old = this.#record;
    // After a revocation a key may be used again, a token may not.
    const credential = old?.key ? { key: old.key, publicKey: old.publicKey }
      : old?.token && old.ended?.why !== "revoked" ? { token: old.token } : await this.#makeCredential();
    const rest = { senderId, displayName, metadata, asked: false, received: 0 };
    this.#record = { ...credential, ...rest };
    await this.#keep().catch(async (error) => {
      if (!credential.key) throw error;
      // A browser that keeps no such keys.
      this.#record = { ...this.#makeToken(), ...rest };
      await this.#keep();
    });
    this.#begin();
  }

  /** Ends the session and whatever it was about to do; `start()` goes on. */
  stop() {
    this.#life?.abort();
    [this.#life, this.#isHeld] = [null, false];
  }

  /** Stops and forgets name and messages; not the credential, without which its name would be somebody else's. */
  async reset() {
    this.stop();
    this.#giveUp(disconnected("The device was reset."));
    const { key, publicKey, token, ended } = this.#record ?? {};
    const isSpent = token && ended?.why === "revoked";
    this.#record = { ...(isSpent ? {} : { key, publicKey, token }), ended: { name: "unpaired" } };
    await this.#keep();
    this.#say(this.#record.ended);
  }

  /** Takes the session over from another tab. */
  takeOver() {
    if (this.state.name !== "standby") return;
    this.stop();
    this.#begin({ steal: true });
  }

  /** Somebody looks: a wait ends, and a connection has to show that it is alive. */
  retryNow() {
    this.#wake();
    if (this.#isConnected) this.#line.check();
  }

  /**
   * Sends a message to the device's agent; kept until it is accepted, across reloads too.
   *
   * @param {*} message Any JSON value but null, as the channel wants it.
   * @param {{messageId?: string, agent?: string, conversation?: string}} [options] The same `messageId` is the same message.
   * @returns {Promise<{messageId: string, messageSeq?: number, status: string}>} Rejects where it is refused for good.
   */
  send(message, { messageId = this.makeId(), agent, conversation } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#isHeld) return reject(disconnected(`The device is ${this.state.name}.`));
      this.#outbox.push({ messageId, message, agent, conversation, resolve, reject });
      // Where it can't be kept, it lives as long as the page.
      this.#keep().then(() => this.#options.on.kept?.(messageId)).catch(() => {});
      this.#pump();
    });
  }

  /**
   * What the server still keeps of a conversation, a page of it, the oldest first.
   *
   * @param {{before?: object, limit?: number, conversation?: string}} [options] `before` is that of the page before.
   * @returns {Promise<{messages: object[], before?: object}>} With `before` while there may be more.
   */
  async history(options = {}) {
    if (!this.#isConnected) throw disconnected(`The device is ${this.state.name}.`);
    return this.#line.request("message.history", options);
  }

  /** A new identifier for a message. */
  makeId() { return base64url(this.#options.crypto.getRandomValues(new Uint8Array(16))); }

  #makeToken() { return { token: base64url(this.#options.crypto.getRandomValues(new Uint8Array(32))) }; }

  async #makeCredential() {
    const { crypto: { subtle }, store } = this.#options;
    try {
      const pair = await subtle.generateKey("Ed25519", !store.keepsKeys, ["sign", "verify"]);
      const key = store.keepsKeys ? pair.privateKey : await subtle.exportKey("jwk", pair.privateKey);
      return { key, publicKey: base64url(await subtle.exportKey("raw", pair.publicKey)) };
    } catch {
      // No Ed25519 here, or a page that did not come over TLS.
      return this.#makeToken();
    }
  }

  /** Stores what is true now, with `changes`; what is asked for together is stored together. */
  #keep(changes = {}) {
    Object.assign(this.#record, changes);
    return this.#save ??= this.#saving = this.#saving.catch(() => {}).then(() => {
      this.#save = null;
      const outbox = this.#outbox.map(
        ({ messageId, message, agent, conversation }) => ({ messageId, message, agent, conversation }));
      return this.#record && this.#options.store.put({ ...this.#record, outbox });
    });
  }

  #say(state) {
    const request = ["connecting", "waiting", "offline"].includes(state.name) ? this.#record?.request : undefined;
    this.state = request ? { ...state, request } : state;
    this.#options.on.state?.(this.state);
  }

  /** The device's name with the evidence that it is this device. */
  async #proven(line, purpose) {
    const { channel, origin, crypto: { subtle } } = this.#options;
    const { senderId, token, key, publicKey } = this.#record;
    if (token) return { channel, senderId, deviceToken: token };
    const { nonce, ts: signedAt } = await line.request("device.challenge");
    const text = ["nodes-v1", purpose, origin, channel, senderId, publicKey, signedAt, nonce].join("|");
    const signer = key.kty ? await subtle.importKey("jwk", key, "Ed25519", false, ["sign"]) : key;
    const signature = base64url(await subtle.sign("Ed25519", signer, new TextEncoder().encode(text)));
    return { channel, senderId, publicKey, proof: { signature, signedAt, nonce } };
  }

  /** Holds the session, of which all tabs of a browser have one. */
  #begin(how = { ifAvailable: true }) {
    const { locks, origin, channel } = this.#options;
    const life = this.#life = new AbortController();
    const live = async (lock) => {
      if (lock === null) return "standby";
      this.#isHeld = true;
      await this.#live(life.signal);
      if (this.#life === life) this.stop();
    };
    const hold = async () => {
      if (!locks) return live();
      const name = `goclaw-nodes|${origin}|${channel}|${this.senderId}`;
      if (await locks.request(name, how, live) !== "standby") return;
      this.#say({ name: "standby" });
      await locks.request(name, { signal: life.signal }, live);
    };
    hold().catch((error) => {
      if (error.name !== "AbortError") throw error;
      // Stopped while it waited for its turn; or another tab took over, and this one stands by.
      if (this.#life !== life) return;
      this.stop();
      this.#begin();
    });
  }

  async #live(signal) {
    // Another tab may have gone on meanwhile.
    this.#record = (await this.#options.store.get().catch(() => null)) ?? this.#record;
    if (this.#record.ended) return this.#say(this.#record.ended);
    // Whoever waits for one of these goes on waiting.
    const known = new Map(this.#outbox.map((entry) => [entry.messageId, entry]));
    this.#outbox = (this.#record.outbox ?? this.#outbox).map((entry) => known.get(entry.messageId) ?? entry);
    for (let ceiling = PACE.least; !signal.aborted; ceiling = Math.min(ceiling * 2, PACE.most)) {
      this.#say({ name: "connecting" });
      const began = Date.now();
      const error = await this.#visit(signal).catch((error) => error);
      if (signal.aborted) return;
      const stop = this.#asStop(error);
      if (stop) return this.#end(stop);
      if (Date.now() - began >= PACE.lasted) ceiling = PACE.least;
      const [least, more] = [error.retryAfterMs ?? 0, ceiling * (0.5 + Math.random() / 2)];
      this.#say({ name: "offline", message: error.message, reason: error.reason, retryAt: Date.now() + least + more });
      // What the server asks for is waited for, whoever looks meanwhile.
      await pause(least, signal);
      await pause(more, signal, (wake) => { this.#wake = wake; });
    }
  }

  /** Why it must stop after an error; `null` where it comes back, also from a store or a handler that failed. */
  #asStop(error) {
    if (error instanceof Stop) return error;
    if (!(error instanceof DeviceError) || MENDED.has(error.reason) || error.reason === "disconnected") return null;
    if (error.reason === "denied_recently") return new Stop("denied", error);
    return error.retryable && error.code !== "ALREADY_EXISTS" ? null : new Stop("refused", error);
  }

  async #end({ state }) {
    // One that was replaced may come back when its owner starts it again; anything else lasts.
    if (state.why !== "replaced") {
      this.#giveUp(failure("NOT_PAIRED", state.why, state.message));
      await this.#keep({ ended: state, request: null }).catch(() => {});
    }
    this.#say(state);
  }

  #giveUp(error) {
    for (const entry of this.#outbox.splice(0)) this.#settle(entry, error);
  }

  /** One socket, from its opening to its end; throws what ended it. */
  async #visit(signal) {
    const { WebSocket, url, heartbeat } = this.#options;
    let fail;
    const failed = new Promise((_, reject) => { fail = reject; });
    const line = this.#line = new Line(WebSocket, url, heartbeat, (event, payload) => {
      // One after the other, so that numbers are stored in their order.
      const handle = () => line.code === undefined && this.#happened(line, event, payload);
      this.#handling = this.#handling.then(handle).catch(fail);
    });
    const abort = () => line.drop();
    signal.addEventListener("abort", abort);
    const patience = setTimeout(() => line.drop("The server did not answer."), heartbeat.answerMs);
    const lost = line.closed.then(({ reason }) => { throw disconnected(reason || "The connection was lost."); });
    const greeted = line.opened.then(() => clearTimeout(patience)).then(() => this.#greet(line));
    try {
      await Promise.race([greeted, failed, lost]);
      await Promise.race([failed, lost]);
    } catch (error) {
      // Its close says more than a request that had no answer.
      throw ENDS[line.code] && !(error instanceof Stop) ? new Stop(ENDS[line.code]) : error;
    } finally {
      clearTimeout(patience);
      signal.removeEventListener("abort", abort);
      this.#isConnected = false;
      line.drop();
    }
  }

  async #greet(line) {
    if (!this.#record.asked) return this.#request(line);
    try {
      await this.#arrived(await line.request("connect", await this.#proven(line, "connect")));
    } catch (error) {
      if (error.code !== "NOT_PAIRED" || MENDED.has(error.reason)) throw error;
      const why = ["revoked", "denied", "expired"].includes(error.reason) ? error.reason : "unknown";
      const isLate = why === "expired" || why === "unknown";
      if (isLate && this.#options.asksAgain) return this.#request(line);
      throw new Stop(why, { ...error, message: error.details.decisionReason ?? (isLate ? error.message : "") });
    }
  }

  async #request(line) {
    const { displayName, metadata } = this.#record;
    const params = { ...(await this.#proven(line, "pair")), displayName, metadata };
    const answer = await line.request("device.pair.request", params);
    const isPaired = answer.status === "approved";
    await this.#keep(isPaired ? { asked: true } : { asked: true, received: 0 });
    await (isPaired ? this.#greet(line) : this.#arrived(answer));
  }

  /** What `connect`, a request or a decision answered. */
  async #arrived({ status, limits, requestId, code, expiresInMs }) {
    if (status === "paired") {
      this.#isConnected = true;
      await this.#keep({ request: null });
      this.#say({ name: "connected", limits });
      this.#pump();
    } else {
      await this.#keep({ request: { requestId, code, expiresAt: Date.now() + expiresInMs } });
      this.#say({ name: "waiting" });
    }
  }

  async #happened(line, event, payload) {
    const { on, asksAgain } = this.#options;
    if (event === "device.pair.resolved") {
      const { decision, status, reason: message } = payload;
      if (decision === "denied" || (decision === "expired" && !asksAgain)) throw new Stop(decision, { message });
      if (decision === "expired") return this.#request(line);
      return status === "paired" ? this.#arrived(payload) : this.#greet(line);
    }
    if (!Number.isInteger(payload?.messageSeq)) {
      if (event === "message.part") on.part?.(payload);
      else if (event === "message.failed") on.failed?.(payload);
      else on.event?.(event, payload);
      return;
    }
    const { messageSeq, last = true } = payload;
    const isNew = messageSeq > this.#record.received;
    if (isNew) await on.message?.(payload, event);
    if (!last) return;
    if (isNew) await this.#keep({ received: messageSeq });
    // Its answer says nothing that matters: what is not acknowledged comes again.
    line.request("message.ack", { messageSeq }).catch(() => {});
  }

  #pump() {
    if (!this.#isConnected || Date.now() < this.#heldUntil) return;
    const room = WINDOW - this.#outbox.filter((entry) => entry.isGoing).length;
    for (const entry of this.#outbox.filter((entry) => !entry.isGoing).slice(0, room)) this.#post(entry, this.#line);
  }

  async #post(entry, line) {
    const { messageId, message, agent, conversation } = entry;
    entry.isGoing = true;
    let outcome;
    try {
      // It would end this connection, and every one after it.
      const [size, most] = [new TextEncoder().encode(JSON.stringify(message)).length, this.state.limits?.maxBodyBytes];
      if (size > most) throw failure("INVALID_REQUEST", "message_too_large", `${size} bytes; up to ${most} are taken.`);
      outcome = await line.request("message.send", { messageId, message, agent, conversation });
    } catch (error) {
      entry.isGoing = false;
      if (error.reason === "disconnected") return;
      if (error.code === "NOT_PAIRED") return line.drop(error.message);
      if (error.retryable) {
        // Those behind it wait too, so that none overtakes it.
        const wait = error.retryAfterMs || PACE.least;
        this.#heldUntil = Date.now() + wait;
        setTimeout(() => this.#pump(), wait + 10);
        return;
      }
      outcome = error;
    }
    if (!this.#outbox.includes(entry)) return;
    this.#outbox.splice(this.#outbox.indexOf(entry), 1);
    this.#keep().catch(() => {});
    this.#settle(entry, outcome);
    this.#pump();
  }

  #settle({ messageId, resolve, reject }, outcome) {
    const isRefused = outcome instanceof Error;
    if (isRefused) this.#options.on.refused?.(messageId, outcome);
    else this.#options.on.sent?.(outcome);
    (isRefused ? reject : resolve)?.(outcome);
  }
}
