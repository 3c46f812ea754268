// Everything here is a convenience: without scripts the page shows the same.
(function () {
  "use strict";
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim().replace(/\u2212/g, "-");
    const number = parseFloat(text.replace(/[,%$]/g, ""));
    return isNaN(number) || !/^[+-]?[\d.,]/.test(text) ? text : number;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) continue;
    const first = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("plot")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      while (head.firstChild) button.append(head.firstChild);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { none: "descending", descending: "ascending", ascending: "none" };
        const order = next[head.getAttribute("aria-sort") || "none"];
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        if (order === "none") { body.append(...first); return; }
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        body.append(...[...first].sort((a, b) => {
          const x = value(a, column), y = value(b, column);
          if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
          return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
        }));
      });
    });
    if (first.length > 12) {
      const field = document.createElement("input");
      field.type = "search";
      field.placeholder = "Filter " + first.length + " rows";
      field.setAttribute("aria-label", "Filter rows");
      field.className = "filter";
      field.addEventListener("input", () => {
        const wanted = field.value.toLowerCase();
        for (const row of first) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
      table.parentElement.before(field);
    }
  }
  for (const figure of document.querySelectorAll("figure svg")) {
    const lines = [...figure.querySelectorAll('g[id*="arm-"]')];
    const arm = (line) => line.id.match(/arm-(\d+)/)[1];
    for (const line of lines) {
      line.addEventListener("mouseenter", () => {
        for (const other of lines) other.classList.toggle("quiet", arm(other) !== arm(line));
      });
      line.addEventListener("mouseleave", () => {
        for (const other of lines) other.classList.remove("quiet");
      });
    }
  }
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "theme";
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const label = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  label();
  const contents = document.querySelector("nav.contents");
  if (contents) contents.append(toggle);
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not(.axis)")) fold.open = false;
  });
})();
