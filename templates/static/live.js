"use strict";
// Live: what happens is shown where it is, without a reload. One tab of a browser holds the stream of events and tells
// the others: browsers open only a few connections to one server.

const live = { title: document.title, position: 0, isLost: false, isLeading: false, last: null };
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Loads a page as the script's own request, which is no use of the session. */
async function load(address) {
  const answer = await fetch(address, {
    credentials: "same-origin", redirect: "manual", headers: { "X-Nodes-Live": "1" },
  });
  if (answer.type === "opaqueredirect") throw new Error("signed out");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer.ok && !page.querySelector("[data-dialog-content]")) throw new Error("no page");
  return page;
}

/** Says something about the connection; nothing where there is nothing to say. */
function say(text, isGood = false) {
  const line = document.getElementById("connection");
  if (!line) return;
  line.classList.toggle("good", isGood);
  line.textContent = text;
  line.hidden = !text;
  clearTimeout(say.timer);
  if (isGood) say.timer = setTimeout(() => say(""), 6000);
}

/** Shows how many requests wait, in the title and in the menu. */
function showPending(count) {
  const text = count > 1000 ? "1000+" : String(count);
  document.title = count > 0 ? `(${text}) ${live.title}` : live.title;
  for (const badge of document.querySelectorAll("[data-pending]")) {
    badge.textContent = text;
    badge.hidden = !(count > 0);
  }
}

/** Brings the page up to date soon; changes that come together are one. */
const updateSoon = (concernsDialog) => part("lists.js").then((lists) => lists.updateSoon(concernsDialog), () => {});

/** Something was told, by the stream or by the tab that holds it. */
function hear(message) {
  if (message.kind === "ready" || message.kind === "change") {
    if (message.pending !== undefined) showPending(message.pending);
  }
  switch (message.kind) {
    case "ready":
      if (live.isLost) say("Connected again. What you see is up to date.", true);
      if (live.isLost || message.position > live.position) updateSoon(true);
      live.isLost = false;
      break;
    case "change": {
      const about = document.querySelector("dialog[open] [data-about]")?.dataset.about;
      const concernsDialog = !message.changes
        || message.changes.some((change) => change.requestId === about || change.senderId === about);
      updateSoon(concernsDialog);
      break;
    }
    case "away":
      live.isLost = true;
      say("The database can't be reached. What you see may be old.");
      break;
    case "back":
      live.isLost = false;
      say("The database is back. What you see is up to date.", true);
      updateSoon(true);
      break;
    case "lost":
      live.isLost = true;
      say("The connection is lost. What you see may be old; it is tried again.");
      break;
    case "ended":
      live.isLost = true;
      say("Your session has ended. Reload the page to sign in again.");
      break;
  }
}

const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("nodes-live");

/** Tells this tab and the others. */
function tell(message) {
  if (["lost", "away", "ended"].includes(message.kind)) live.last = message;
  else live.last = { ...live.last, ...message, kind: "ready", changes: undefined };
  hear(message);
  tabs?.postMessage(message);
}

/** Holds one stream, until it is over. Says whether the session is. */
function stream() {
  return new Promise((done) => {
    const source = new EventSource("/events");
    const end = (isSignedOut) => {
      source.close();
      removeEventListener("pagehide", leave);
      done(isSignedOut);
    };
    const leave = () => source.close();
    addEventListener("pagehide", leave);
    for (const kind of ["ready", "change", "away", "back"]) {
      source.addEventListener(kind, (event) => tell({ kind, ...JSON.parse(event.data) }));
    }
    source.addEventListener("ended", () => end(true));
    source.addEventListener("error", async () => {
      tell({ kind: "lost" });
      if (source.readyState !== EventSource.CLOSED) return;
      // Refused, which may be for want of a session.
      end(await load(location.href).then(() => false, (error) => error.message === "signed out"));
    });
    if (!navigator.locks) {
      document.addEventListener("visibilitychange", () => document.hidden && end(false), { once: true });
    }
  });
}

/** Holds streams, one after the other, for as long as there is a session. */
async function lead() {
  live.isLeading = true;
  for (;;) {
    while (!navigator.locks && document.hidden) await wait(500);
    if (await stream()) break;
    await wait(2000 + Math.random() * 2000);
  }
  tell({ kind: "ended" });
  live.isLeading = false;
}

function goLive() {
  live.position = Number(document.querySelector('meta[name="feed-position"]')?.content ?? 0);
  const badge = document.querySelector("[data-pending]:not([hidden])");
  if (badge) document.title = `(${badge.textContent}) ${live.title}`;
  tabs?.addEventListener("message", ({ data }) => {
    if (data.kind !== "hello") hear(data);
    else if (live.isLeading && live.last) tabs.postMessage(live.last);
  });
  tabs?.postMessage({ kind: "hello" });
  // Who is connected is no event: it is looked at now and then.
  setInterval(() => updateSoon(false), 60000);
  if (navigator.locks) navigator.locks.request("nodes-live", lead);
  else lead();
}

if (document.body.classList.contains("signed-in") && typeof EventSource !== "undefined") goLive();
