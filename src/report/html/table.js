
"use strict";
// Only what the reader sees is in the document: a table of 10,000 rows is slow to lay out, fifty rows are not.
(() => {
  const PAGE = 50;
  const calendar = document.getElementById("calendar");
  const table = document.getElementById("rows");
  if (!table) return;
  calendar.scrollLeft = calendar.scrollWidth;

  const [filter, status, previous, next, where] = ["filter", "status", "previous", "next", "page"].map((id) => document.getElementById(id));
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const rows = Array.from(body.rows);
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = {
    number: (a, b) => a - b,
    // RFC 3339 in UTC: without the Z, a fraction of a second comes behind the whole second.
    time: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
    text: collator.compare,
  };
  const read = { number: Number, time: (text) => text.replace("Z", ""), text: (text) => text };
  const columns = new Map();
  let texts;
  let order = rows.map((_, place) => place);
  let found = order;
  let page = 0;

  const show = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    const first = page * PAGE;
    const last = Math.min(first + PAGE, found.length);
    body.replaceChildren(...found.slice(first, last).map((place) => rows[place]));
    const count = (number) => number.toLocaleString("en");
    const all = `${count(rows.length)} row${rows.length === 1 ? "" : "s"}`;
    const some = found.length === rows.length ? all : `${count(found.length)} of ${all}`;
    status.textContent = pages > 1 ? `${some}, ${count(first + 1)} to ${count(last)} shown` : some;
    where.textContent = `Page ${count(page + 1)} of ${count(pages)}`;
    where.parentElement.hidden = pages === 1;
    // Not disabled for good: a button that loses the focus takes the keyboard's place with it.
    previous.setAttribute("aria-disabled", String(page === 0));
    next.setAttribute("aria-disabled", String(page === pages - 1));
  };

  const choose = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    texts ??= rows.map((row) => Array.from(row.cells, (cell) => cell.textContent).join("\n").toLowerCase());
    found = words.length ? order.filter((place) => words.every((word) => texts[place].includes(word))) : order;
    page = 0;
    show();
  };

  const sort = (column) => {
    const head = heads[column];
    const kind = head.dataset.kind;
    if (!columns.has(column)) columns.set(column, rows.map((row) => read[kind](row.cells[column].textContent)));
    const values = columns.get(column);
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    order = rows.map((_, place) => place).sort((a, b) => sign * compare[kind](values[a], values[b]) || a - b);
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    choose();
  };

  const turn = (step) => {
    page = Math.max(0, page + step);
    show();
    table.parentElement.scrollTop = 0;
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  filter.addEventListener("input", choose);
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  document.querySelectorAll(".controls").forEach((controls) => {
    controls.hidden = false;
  });
  show();
})();
