"use strict";
// The pages work without this script; it shows times in the reader's zone and dialogs in place.

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always" });

/** How far the reader's clock is behind the server's; what expires does so by the server's. */
let behind = 0;
const now = () => Date.now() + behind;

/** Learns the server's time of a page that has just come. */
function learnTime(page) {
  const time = Date.parse(page.querySelector('meta[name="server-time"]')?.content);
  if (!Number.isNaN(time)) behind = time - Date.now();
}

/** The span in words, in its greatest unit. */
function spanned(milliseconds) {
  const seconds = Math.trunc(milliseconds / 1000);
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return relative.format(seconds, "second");
}

/** Rewrites the times within `root`; run again as time passes. */
function showTimes(root) {
  for (const element of root.querySelectorAll("time[data-style]")) {
    const moment = new Date(element.dateTime);
    const isLeft = element.dataset.style === "left";
    const isOver = isLeft && moment <= now();
    // What has just happened is not to come: the page's own time is cut to the second.
    const span = isLeft ? moment - now() : Math.min(-0, moment - now());
    element.textContent = element.dataset.style === "moment" ? absolute.format(moment)
      : isOver ? "expired" : spanned(span);
    element.title = exact.format(moment);
  }
}

// How long the second of two quick taps may take. What has just come under a finger does nothing until then: it
// was not what the finger was meant for. pages.css has the same times, for pages that are read without this script.
const unarmed = 800;
const unsettled = 400;

/** When links take a click again after a dialog was closed over them. */
let settledAt = 0;
let isOpening = false;

/** Drops what happens in `dialog` before anybody can have read it, and clicks that began outside it. */
function guard(dialog) {
  let pressed = null;
  const isArmed = () => "armed" in dialog.dataset;
  const drop = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  dialog.addEventListener("pointerdown", (event) => {
    pressed = isArmed() ? event.target : null;
  });
  dialog.addEventListener("click", (event) => {
    // Keys and assistive technology click without a pointer.
    const isByPointer = event.detail > 0;
    if (!isArmed() || (isByPointer && !pressed)) return drop(event);
    // A text selected up to the backdrop is no click on the backdrop.
    const isBesides = event.target === dialog && pressed === dialog;
    if (isBesides || event.target.closest("[data-close]")) {
      event.preventDefault();
      settledAt = performance.now() + unsettled;
      dialog.close();
    }
  }, true);
  dialog.addEventListener("submit", (event) => {
    if (!isArmed()) drop(event);
  }, true);
  // From when it is seen, which may be later than now.
  requestAnimationFrame(() => setTimeout(() => { dialog.dataset.armed = ""; }, unarmed));
}

/** Moves `dialog` where none of its buttons lies over the link that opened it, if there is such a place. */
function clear(dialog, link) {
  const under = link.getBoundingClientRect();
  const isOver = (button) => {
    const box = button.getBoundingClientRect();
    return box.left < under.right && under.left < box.right && box.top < under.bottom && under.top < box.bottom;
  };
  for (const place of ["centre", "top", "bottom"]) {
    dialog.dataset.place = place;
    if (![...dialog.querySelectorAll(".actions > *")].some(isOver)) return;
  }
  dialog.dataset.place = "centre";
}

/** Opens the page of `link` as a dialog; where that is not possible, goes there. */
async function openDialog(link) {
  isOpening = true;
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { credentials: "same-origin", redirect: "manual" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = page.querySelector("[data-dialog-content]");
    if (!content) throw new Error("not a dialog");
    learnTime(page);
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-labelledby", "dialog-title");
    dialog.dataset.address = link.href;
    dialog.append(document.adoptNode(content));
    dialog.addEventListener("close", () => {
      dialog.remove();
      // The list may have changed under the dialog.
      if (link.isConnected) link.focus();
      else document.getElementById("main").focus();
    });
    document.body.append(dialog);
    showTimes(dialog);
    if (!dialog.querySelector("[autofocus]")) {
      // What is asked is read before a button can be pressed by accident.
      const title = dialog.querySelector("#dialog-title");
      title.tabIndex = -1;
      title.autofocus = true;
    }
    dialog.showModal();
    guard(dialog);
    clear(dialog, link);
  } catch {
    location.assign(link.href);
  } finally {
    isOpening = false;
    link.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || typeof HTMLDialogElement === "undefined") return;
  event.preventDefault();
  const isOfAnotherTap = event.detail > 0 && performance.now() < settledAt;
  if (!isOpening && !isOfAnotherTap) openDialog(link);
});

// A key that is held presses what it was pressed on, not what comes after.
document.addEventListener("keydown", (event) => {
  const presses = event.key === "Enter" ? "a, button, input" : event.key === " " ? "button" : null;
  if (event.repeat && presses && event.target.closest(presses)) event.preventDefault();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
});

// The back button may show a page as it was when its form was sent.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

learnTime(document);
showTimes(document);
setInterval(() => showTimes(document), 30000);

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
const own = new Set(["aria-busy", "title", "open", "tabindex"]);

/** Makes `old` what `fresh` is, and leaves alone what is the same: focus, scrolling, what is ticked or typed. */
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !own.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const keyOf = (node) => node.dataset?.key;
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
