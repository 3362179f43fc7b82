// Roles for tables that are shown as cards. pages.js loads this in narrow windows.

/** Says of each part of the tables within `root` what it is. */
export function name(root) {
  const roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TH: "columnheader", TD: "cell" };
  for (const part of root.querySelectorAll("table, table *")) {
    if (roles[part.tagName] && !part.hasAttribute("role")) part.setAttribute("role", roles[part.tagName]);
  }
}
