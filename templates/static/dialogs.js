// Dialogs: what a link leads to, shown over the page. pages.js loads this with the first one, and has what it uses
// of times.

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

/** Loads the rules that the page itself did without. */
export function loadStyles() {
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
async function open(link) {
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

/** Opens what `link` leads to, which was clicked at `time`, in the milliseconds of `performance.now()`. */
export function openFor(link, isByPointer, time) {
  const isOfAnotherTap = isByPointer && time < settledAt;
  if (!isOpening && !isOfAnotherTap) open(link);
}
