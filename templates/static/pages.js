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
  for (const element of root.querySelectorAll("time")) {
    const moment = new Date(element.dateTime);
    const isLeft = element.className === "left";
    const isOver = isLeft && moment <= now();
    // What has just happened is not to come: the page's own time is cut to the second.
    const span = isLeft ? moment - now() : Math.min(-0, moment - now());
    element.textContent = !element.className ? absolute.format(moment)
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

/** Loads the rules for dialogs, which the page itself did without. */
function loadStyles() {
  const own = document.querySelector('link[href*="/pages.css"]');
  if (!own || document.querySelector('link[href*="/more.css"]')) return null;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = own.href.replace("pages.css", "more.css");
  return new Promise((done, failed) => {
    link.onload = done;
    link.onerror = failed;
    document.head.append(link);
  });
}

/** Opens the page of `link` as a dialog; where that is not possible, goes there. */
async function openDialog(link) {
  isOpening = true;
  link.setAttribute("aria-busy", "true");
  try {
    const asked = fetch(link.href, { credentials: "same-origin", redirect: "manual" });
    const [answer] = await Promise.all([asked, loadStyles()]);
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

// In narrow windows tables are shown as cards, which takes their meaning from some browsers.
function nameTables(root) {
  const roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TH: "columnheader", TD: "cell" };
  for (const part of root.querySelectorAll("table, table *")) {
    if (roles[part.tagName] && !part.hasAttribute("role")) part.setAttribute("role", roles[part.tagName]);
  }
}

learnTime(document);
showTimes(document);
nameTables(document);
setInterval(() => showTimes(document), 30000);
