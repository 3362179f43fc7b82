// What is brought up to date where it is shown. live.js loads this with the first change, and has `load` and `live`.

// What the script itself wrote on elements stays there.
const own = new Set(["aria-busy", "title", "open", "tabindex", "role"]);

/** What tells the rows of a list apart: where they lead. */
const keyOf = (node) => /^(LI|TR)$/.test(node.nodeName) ? node.querySelector(opens)?.pathname : undefined;

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
  const { loadStyles } = await part("dialogs.js");
  const [page] = await Promise.all([load(location.href), loadStyles()]);
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
  nameTables();
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

/** Whether something changed while nobody saw the page. */
let isStale = false;
const update = { timer: 0, isRunning: false, isDue: false, dialog: false, at: 0 };

/** Brings the page up to date soon; changes that come together are one. */
export function updateSoon(concernsDialog) {
  update.dialog ||= concernsDialog;
  if (document.hidden) {
    isStale = true;
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
  isStale = false;
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

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && isStale) updateSoon(true);
});
