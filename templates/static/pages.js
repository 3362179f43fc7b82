"use strict";
// The pages work without this script; it shows times in the reader's zone and dialogs in place.

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always" });

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
    const isOver = element.dataset.style === "left" && moment <= Date.now();
    element.textContent = element.dataset.style === "moment" ? absolute.format(moment)
      : isOver ? "expired" : spanned(moment - Date.now());
    element.title = exact.format(moment);
  }
}

/** Opens the page of `link` as a dialog; where that is not possible, goes there. */
async function openDialog(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { credentials: "same-origin", redirect: "manual" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = page.querySelector("[data-dialog-content]");
    if (!content) throw new Error("not a dialog");
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-labelledby", "dialog-title");
    dialog.append(document.adoptNode(content));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) {
        event.preventDefault();
        dialog.close();
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
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
  } catch {
    location.assign(link.href);
  } finally {
    link.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || typeof HTMLDialogElement === "undefined") return;
  event.preventDefault();
  openDialog(link);
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

showTimes(document);
setInterval(() => showTimes(document), 30000);
