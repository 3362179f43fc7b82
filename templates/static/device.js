// /device: this browser as a device of the channel `web`. What the device does is in nodes-device.js; this shows it.

// Of one release, whatever the browser has kept.
const release = new URL(import.meta.url).search;
const { Device, browserStore } = await import(`./nodes-device.js${release}`);
const { qrCode } = await import(`./qr.js${release}`);

const element = (id) => document.getElementById(id);
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
/** How many messages a browser keeps to show them after a reload. */
const KEPT = 200;
/** How long an agent is shown as writing of which nothing comes, in milliseconds. */
const TYPING = 30_000;

// The conversation: what was said, as far as this browser keeps it.

const conversation = { store: browserStore("conversation"), entries: [], saving: Promise.resolve() };

function keepConversation() {
  conversation.entries.splice(0, conversation.entries.length - KEPT);
  return conversation.saving = conversation.store.put({ entries: conversation.entries });
}

const parts = new Map();
const rows = new Map();

/** The words of a message, or its JSON. */
function words(message) {
  if (typeof message === "string") return message;
  return typeof message?.text === "string" ? message.text : JSON.stringify(message, null, 2);
}

/** Shows a message, or what has changed of it. */
function show({ id, from, text, note = "", isBad = false, isData = false }, isLive = false) {
  const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
  let row = rows.get(id);
  if (!row) {
    row = document.createElement("li");
    row.dataset.from = from === "me" ? "me" : "agent";
    row.innerHTML = '<span class="by"></span><div class="bubble"></div><span class="note"></span>';
    rows.set(id, row);
    element("log").append(row);
  }
  const [by, bubble, remark] = row.children;
  by.textContent = from === "me" ? "" : from;
  by.hidden = from === "me";
  if (bubble.textContent !== text) bubble.textContent = text;
  bubble.classList.toggle("data", isData);
  row.classList.toggle("is-live", isLive);
  remark.textContent = note;
  remark.hidden = !note;
  remark.classList.toggle("bad", isBad);
  element("talk").setAttribute("aria-busy", String(parts.size > 0));
  element("greeting").hidden = rows.size > 0;
  if (isAtEnd || from === "me") scrollTo({ top: document.documentElement.scrollHeight });
}

function remove(id) {
  rows.get(id)?.remove();
  rows.delete(id);
}

function change(id, changes) {
  const entry = conversation.entries.find((entry) => entry.id === id);
  if (!entry) return;
  Object.assign(entry, { note: "", isBad: false }, changes);
  show(entry);
  keepConversation().catch(() => {});
}

const handlers = {
  state: showState,
  // "Sending…" is a promise that a reload must not break.
  async kept(messageId) {
    await conversation.saving;
    const entry = conversation.entries.find(({ id }) => id === messageId);
    if (entry) show(entry);
  },
  sent: ({ messageId }) => change(messageId, {}),
  refused: (messageId, error) => change(messageId, { note: `Not sent: ${error.message}`, isBad: true }),
  async message({ messageSeq, agent, message, inReplyTo }) {
    parts.delete(inReplyTo);
    remove(`parts-${inReplyTo}`);
    change(inReplyTo, {});
    const isData = typeof message !== "string" && typeof message?.text !== "string";
    const entry = { id: `agent-${messageSeq}`, from: agent ?? "agent", text: words(message), isData };
    if (!rows.has(entry.id)) conversation.entries.push(entry);
    show(entry);
    await keepConversation();
  },
  part({ inReplyTo, agent, part, text }) {
    // An agent that is asked again begins again; one whose beginning was missed goes on.
    const before = part === 0 ? "" : parts.get(inReplyTo)?.text ?? "… ";
    const entry = { id: `parts-${inReplyTo}`, from: agent ?? "agent", text: before + text };
    parts.set(inReplyTo, entry);
    change(inReplyTo, {});
    show(entry, true);
  },
  event(name, { inReplyTo, agent }) {
    if (name !== "typing" || parts.has(inReplyTo)) return;
    const entry = { id: `parts-${inReplyTo}`, from: agent ?? "agent", text: "…", isTyping: true };
    parts.set(inReplyTo, entry);
    change(inReplyTo, {});
    show(entry, true);
    // An agent may answer nothing, or later.
    setTimeout(() => parts.get(inReplyTo) === entry && cutOff(inReplyTo), TYPING);
  },
  failed({ inReplyTo, reason, retrying }) {
    cutOff(inReplyTo);
    const why = {
      unreachable: "The agent can’t be reached", timed_out: "The agent took too long", busy: "The agent is busy",
      refused: "The agent refused the message", invalid_answer: "The agent’s answer made no sense",
    }[reason] ?? "The agent failed";
    change(inReplyTo, { note: retrying ? `${why}; it is asked again.` : `${why}. No answer will come.`, isBad: !retrying });
  },
};

/** An answer that stopped in its middle. */
function cutOff(messageId) {
  const entry = parts.get(messageId);
  parts.delete(messageId);
  if (entry?.isTyping) remove(entry.id);
  else if (entry) show({ ...entry, note: "Cut off here.", isBad: true });
}

// What the person is told.

const device = new Device({ url: "/ws", channel: "web", store: browserStore(), on: handlers });

const ENDINGS = {
  denied: ["Denied", "An administrator denied this request.", "Ask again"],
  revoked: ["Revoked", "An administrator revoked this device’s pairing. It can send and receive nothing any more.", "Ask to pair again"],
  expired: ["Too late", "Nobody decided in time.", "Ask again"],
  unknown: ["Not known here", "This server does not know this device any more.", "Ask to pair again"],
  replaced: ["In use elsewhere", "Another page or program connected as this device and took over.", "Use it here"],
  refused: ["Refused", "The server did not accept this.", "Try again"],
};
const STANDINGS = {
  unpaired: "Not paired", standby: "In use in another tab", connecting: "Connecting…", waiting: "Waiting for approval",
  connected: "Connected",
};

function showState(state) {
  const { name, request, why } = state;
  const standing = element("standing");
  standing.dataset.state = name;
  standing.textContent = name === "stopped" ? ENDINGS[why][0] : STANDINGS[name] ?? "";
  element("name").textContent = device.senderId ?? "GoClaw";
  const isPaired = name === "connected" || (!request && ["connecting", "offline"].includes(name) && wasPaired());
  if (name !== "connected") for (const id of [...parts.keys()]) cutOff(id);
  reveal(name === "unpaired" ? "ask" : request ? "wait" : name === "stopped" || name === "standby" ? "stopped"
    : isPaired ? "chat" : "");
  if (request) showRequest(request);
  if (name === "stopped" || name === "standby") showEnding(state);
  if (name === "connected") navigator.storage?.persist?.();
  if (why === "revoked") {
    // What was said stays on the screen until it is reloaded, and nowhere else.
    conversation.entries = [];
    conversation.store.put(null).catch(() => {});
  }
  tick();
}

let seen = "";

/** Shows one of the page's panels and, where that is news, moves the reader to it. */
function reveal(id) {
  const isEnd = id === "stopped";
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !(section.id === id || (isEnd && section.id === "chat" && rows.size > 0));
  }
  element("composer").hidden = id !== "chat";
  if (id && id !== seen && seen) element(`${id}-title`).focus({ preventScroll: id === "chat" });
  if (id === "chat" && id !== seen) scrollTo({ top: document.documentElement.scrollHeight });
  seen = id || seen;
}

const wasPaired = () => seen === "chat" || conversation.entries.length > 0;

function showRequest({ requestId, code }) {
  if (element("code").textContent === code) return;
  element("code").textContent = code;
  const modules = qrCode(new URL(`/nodes/requests/${requestId}/approve`, location.href).href);
  const size = modules.length + 8;
  const path = modules.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + 4} ${y + 4}h1v1h-1z` : "")));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.append(document.createElementNS(svg.namespaceURI, "path"));
  svg.firstChild.setAttribute("d", path.join(""));
  element("qr").replaceChildren(svg);
}

function showEnding({ name, why, message, reason }) {
  const elsewhere = ["Open in another tab", "Another tab of this browser is this device. It goes on here when that one is closed.", "Use it here"];
  const taken = ["Taken", "Another device holds this name.", "Try again"];
  const [title, text, again] = name === "standby" ? elsewhere : reason === "sender_id_taken" ? taken : ENDINGS[why];
  element("stopped-title").textContent = title;
  element("stopped-text").textContent = text;
  element("stopped-reason").textContent = message ?? "";
  element("stopped-reason").hidden = !message;
  element("again").textContent = again;
  element("other").hidden = name === "standby" || why === "replaced";
  element("stopped").scrollIntoView({ block: "end" });
}

/** What changes with time. */
function tick() {
  const { name, request, retryAt, message } = device.state;
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  if (name === "offline") {
    element("standing").textContent = `No connection; next try ${relative.format(left, "second")}`;
    element("standing").title = message ?? "";
  }
  if (request) {
    const minutes = Math.max(0, Math.round((request.expiresAt - Date.now()) / 60000));
    element("expiry").textContent = `This request ends ${relative.format(minutes, "minute")}.`;
  }
  element("again").disabled = name === "stopped" && left > 0;
  if (name === "stopped" && left > 0) {
    const [unit, length] = left > 90 ? ["minute", 60] : ["second", 1];
    element("again").textContent = `Ask again ${relative.format(Math.ceil(left / length), unit)}`;
    element("again").dataset.waits = "yes";
  } else if (element("again").dataset.waits) {
    delete element("again").dataset.waits;
    if (name === "stopped") element("again").textContent = ENDINGS[device.state.why][2];
  }
}

// What the person does.

/** A name as the channel wants it: letters and digits with single hyphens, dots or underscores between them. */
function slug(text) {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9._]+/g, "-").replace(/[-._]{2,}/g, "-").replace(/^[-._]+|[-._]+$/g, "").slice(0, 64);
}
const isSlug = (text) => /^[A-Za-z0-9]+([-._][A-Za-z0-9]+)*$/.test(text);
const senderIdOf = (text) => (isSlug(text) ? text : slug(text));

/** What this browser says of itself, for the administrator. */
function metadata() {
  const brand = navigator.userAgentData?.brands.find(({ brand }) => !/not.?a.?brand|chromium/i.test(brand))
    ?? navigator.userAgentData?.brands.find(({ brand }) => brand === "Chromium");
  return {
    ...(brand ? { browser: { name: brand.brand, version: brand.version } } : { userAgent: navigator.userAgent }),
    platform: navigator.userAgentData?.platform || navigator.platform || "unknown",
    screen: { width: screen.width, height: screen.height, pixelRatio: devicePixelRatio },
    language: navigator.language,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}

let named = {};

element("sender").addEventListener("input", () => {
  const text = element("sender").value.trim();
  const senderId = senderIdOf(text);
  element("sender").setCustomValidity(text && !senderId ? "It needs a letter or a digit." : "");
  element("sender-id").textContent = senderId && senderId !== text ? `Its sender ID will be ${senderId}.` : "";
});

element("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("sender").value.trim();
  const senderId = senderIdOf(text);
  named = { senderId, displayName: text === senderId ? undefined : text };
  device.ask({ ...named, metadata: metadata() });
});

element("cancel").addEventListener("click", () => device.reset());
element("other").addEventListener("click", () => device.reset());
element("again").addEventListener("click", () => {
  if (device.state.name === "standby") device.takeOver();
  else if (device.state.why === "replaced") device.start();
  else {
    rows.forEach((row) => row.remove());
    rows.clear();
    device.ask({ senderId: device.senderId, displayName: named.displayName, metadata: metadata() });
  }
});

element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("composer").requestSubmit();
});

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text").value.trim();
  if (!text) return;
  element("text").value = "";
  const id = device.makeId();
  const entry = { id, from: "me", text, note: "Sending…" };
  conversation.entries.push(entry);
  show({ ...entry, note: "" });
  keepConversation().catch(() => {});
  // `refused` says it where it fails.
  device.send({ type: "text", text }, { messageId: id }).catch(() => {});
  element("text").focus();
});

conversation.entries = (await conversation.store.get().catch(() => null))?.entries ?? [];
conversation.entries.forEach((entry) => show(entry));
setInterval(tick, 1000);
try {
  await device.start();
} catch {
  // A private window of some browsers: a device that keeps nothing would be a new one with every reload.
  element("standing").textContent = "Not paired";
  element("stopped-title").textContent = "This browser keeps nothing";
  element("stopped-text").textContent = "A device has to remember its key. Open this page in a window that is not private.";
  for (const id of ["again", "other"]) element(id).hidden = true;
  reveal("stopped");
}
