"use strict";
// Live: what happens is shown where it is, without a reload. One tab of a browser holds the stream of events and tells
// the others: browsers open only a few connections to one server.

const live = { title: document.title, position: 0, isStale: false, isLost: false, isLeading: false, last: null };
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

// What the script itself wrote on elements stays there.
const own = new Set(["aria-busy", "title", "open", "tabindex", "role"]);

/** What tells the rows of a list apart: where they lead. */
const keyOf = (node) => /^(LI|TR)$/.test(node.nodeName) ? node.querySelector("a[data-dialog]")?.pathname : undefined;

/** Makes `old` what `fresh` is, and leaves alone what is the same: focus, scrolling, what is ticked or typed. */
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !own.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wanted = new Set([...fresh.children].map(keyOf));
  // First what goes, so that what stays need not be moved, which would take the focus from it.
  for (const child of [...old.children]) {
    if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
  }
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const key = keyOf(node);
    const match = key ? keyed.get(key) : place && !keyOf(place) && place.nodeName === node.nodeName ? place : null;
    if (!match) {
      old.insertBefore(document.adoptNode(node), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (node.nodeType === Node.ELEMENT_NODE) morph(match, node);
    else if (match.data !== node.data) match.data = node.data;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** Brings the lists up to date. */
async function updateLists() {
  const regions = [...document.querySelectorAll("main [data-live]")];
  if (!regions.length) return;
  const page = await load(location.href);
  learnTime(page);
  live.position = Math.max(live.position, Number(page.querySelector('meta[name="feed-position"]')?.content ?? 0));
  for (const region of regions) {
    const fresh = page.querySelector(`[data-live="${region.dataset.live}"]`);
    if (!fresh) continue;
    const hadFocus = region.contains(document.activeElement);
    morph(region, fresh);
    showTimes(region);
    nameTables(region);
    if (hadFocus && !region.contains(document.activeElement)) {
      // What had it is gone; whoever uses the keyboard goes on from the list.
      const heading = region.querySelector("h2");
      if (heading) {
        heading.tabIndex = -1;
        heading.focus({ preventScroll: true });
      }
    }
  }
}

/** Says in the open dialog that it was decided meanwhile, and takes its button away. */
async function checkDialog() {
  const dialog = document.querySelector("dialog[open]");
  const content = dialog?.querySelector("[data-dialog-content]");
  if (!content || "isOver" in dialog.dataset || !content.querySelector("form")) return;
  const page = await load(dialog.dataset.address);
  const fresh = page.querySelector("[data-dialog-content]");
  if (fresh?.querySelector('form[method="post"]')) return;
  dialog.dataset.isOver = "";
  const note = document.createElement("p");
  note.className = "problem";
  note.setAttribute("role", "alert");
  const by = fresh?.querySelector("[data-by]")?.textContent;
  const what = fresh?.querySelector("h1")?.textContent ?? "This has changed meanwhile";
  note.textContent = `${what}${by ? ` by ${by}` : ""}. Nothing can be decided here any more.`;
  content.querySelector("h1").after(note);
  for (const button of content.querySelectorAll('[type="submit"]')) button.disabled = true;
}

const update = { timer: 0, isRunning: false, isDue: false, dialog: false, at: 0 };

/** Brings the page up to date soon; changes that come together are one. */
function updateSoon(concernsDialog) {
  update.dialog ||= concernsDialog;
  if (document.hidden) {
    live.isStale = true;
    return;
  }
  if (update.isRunning) {
    update.isDue = true;
    return;
  }
  update.timer ||= setTimeout(runUpdate, Math.max(100, update.at + 350 - performance.now()));
}

async function runUpdate() {
  Object.assign(update, { timer: 0, isRunning: true, isDue: false, at: performance.now() });
  const concernsDialog = update.dialog;
  update.dialog = false;
  live.isStale = false;
  try {
    if (concernsDialog) await checkDialog();
    await updateLists();
  } catch {
    // The stream says what is wrong; this is tried again with the next event, or by then.
    update.dialog ||= concernsDialog;
    setTimeout(() => updateSoon(false), 3000);
  } finally {
    update.isRunning = false;
    if (update.isDue) updateSoon(false);
  }
}

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
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && live.isStale) updateSoon(true);
  });
  // Who is connected is no event: it is looked at now and then.
  setInterval(() => updateSoon(false), 60000);
  if (navigator.locks) navigator.locks.request("nodes-live", lead);
  else lead();
}

if (document.body.classList.contains("signed-in") && typeof EventSource !== "undefined") goLive();
