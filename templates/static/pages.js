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

/** Loads another of these scripts; `release` is what the page asked for this one with. */
const release = document.currentScript.src;
const part = (name) => import(release.replace("pages.js", name));

/** What opens as a dialog: what decides, and what says so. */
const opens = "a.yes, a.no, a[data-dialog]";

document.addEventListener("click", (event) => {
  const link = event.target.closest(opens);
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || typeof HTMLDialogElement === "undefined") return;
  event.preventDefault();
  const { detail, timeStamp } = event;
  part("dialogs.js").then((dialogs) => dialogs.openFor(link, detail > 0, timeStamp), () => location.assign(link.href));
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
const narrow = matchMedia("(max-width: 1000px)");
const nameTables = () => narrow.matches && part("tables.js").then((tables) => tables.name(document));
narrow.addEventListener("change", nameTables);

learnTime(document);
showTimes(document);
nameTables();
setInterval(() => showTimes(document), 30000);
