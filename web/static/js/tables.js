// Sorts and filters <table data-table="NAME"> in the page, and keeps both in the
// URL (?NAME.sort=column.desc&NAME.find=text), so that a link shows what its
// sender saw. A cell's data-value, when it has one, is what it sorts by.

const numbers = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function value(cell) {
  const raw = cell?.dataset.value ?? cell?.querySelector("time")?.dateTime ?? cell?.textContent.trim() ?? "";
  const n = Number(raw.replace(/,/g, ""));
  return raw !== "" && !Number.isNaN(n) ? n : raw;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return numbers.compare(String(a), String(b));
}

function remember(name, key, text) {
  const url = new URL(location);
  if (text) url.searchParams.set(`${name}.${key}`, text);
  else url.searchParams.delete(`${name}.${key}`);
  history.replaceState(history.state, "", url);
}

function sortBy(table, heads, column, down) {
  heads.forEach((h, i) => {
    if (i === column) h.setAttribute("aria-sort", down ? "descending" : "ascending");
    else h.removeAttribute("aria-sort");
  });
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
  rows.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
  body.append(...rows.map(([, row]) => row));
}

function filter(table, text, count) {
  const parts = text.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const all = row.textContent.toLowerCase();
    row.hidden = !parts.every((p) => all.includes(p));
    if (!row.hidden) shown++;
  }
  count.textContent = parts.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
}

function one(table) {
  if (table.dataset.ready || !table.tHead || !table.tBodies[0]) return;
  table.dataset.ready = "yes";
  const name = table.dataset.table;
  const heads = [...table.tHead.rows[0].cells];
  const asked = new URL(location).searchParams;
  heads.forEach((head, i) => {
    if (!head.textContent.trim() || head.querySelector("button, a")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      sortBy(table, heads, i, down);
      remember(name, "sort", `${i}.${down ? "desc" : "asc"}`);
    });
  });
  const [column, way] = (asked.get(`${name}.sort`) ?? "").split(".");
  if (column !== "" && heads[column]) sortBy(table, heads, Number(column), way === "desc");

  if (!("find" in table.dataset)) return;
  const box = document.createElement("form");
  box.className = "bar";
  box.setAttribute("role", "search");
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = table.dataset.find || "Filter";
  input.setAttribute("aria-label", input.placeholder);
  input.value = asked.get(`${name}.find`) ?? "";
  const count = document.createElement("span");
  count.className = "soft";
  count.setAttribute("role", "status");
  box.append(input, count);
  (table.closest(".scroll") ?? table).before(box);
  box.addEventListener("submit", (e) => e.preventDefault());
  input.addEventListener("input", () => {
    filter(table, input.value, count);
    remember(name, "find", input.value.trim());
  });
  if (input.value) filter(table, input.value, count);
}

export function tables(root) {
  root.querySelectorAll("table[data-table]").forEach(one);
}
