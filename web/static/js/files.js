// The room of files: uploads that survive, and small comforts. Every page works
// without it; an upload is then a plain form. tus-js-client (vendored/tus.min.js)
// speaks the protocol.
"use strict";

const here = document.getElementById("upload");
const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i ? number.format(n) : Math.round(n)} ${units[i]}`;
}

function element(tag, props = {}, ...below) {
  const el = Object.assign(document.createElement(tag), props);
  el.append(...below);
  return el;
}

// The list of the folder, fetched anew; what is ticked stays so.
let again;
function relist() {
  clearTimeout(again);
  again = setTimeout(async () => {
    const list = document.getElementById("listing");
    if (!list || list.querySelector(":popover-open")) return;
    try {
      const res = await fetch(location.href, { headers: { Accept: "text/html" } });
      const next = res.ok && new DOMParser().parseFromString(await res.text(), "text/html").getElementById("listing");
      if (!next) return;
      const ticked = new Set([...list.querySelectorAll("input:checked")].map((box) => box.value));
      const focused = list.contains(document.activeElement);
      list.replaceChildren(...next.childNodes);
      list.querySelectorAll("input[type=checkbox]").forEach((box) => { box.checked = ticked.has(box.value); });
      if (focused) document.getElementById("main")?.focus();
      list.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true })); // js/main.js enlivens what is new
    } catch { /* the server is away: the list is as it was */ }
  }, 300);
}

// Uploads

const atOnce = 3, shown = 50, most = 10000;
// A server that starts again needs seconds, one that is replaced minutes.
const delays = [300, 1000, 2000, 3000, ...Array(120).fill(5000)];
const all = []; // transfers that are not over, in their order
const lost = new Set(); // those that failed because nobody answered
let stored = 0, failed = 0, says;

class Transfer {
  constructor(file, path, previous) {
    Object.assign(this, { file, path, previous, state: "waiting", sent: 0 });
  }

  // row shows the transfer once it has begun.
  row() {
    if (this.li) return;
    this.says = element("span", { className: "figure" });
    this.bar = element("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", this.path);
    this.pauser = this.button("Pause", () => (this.state === "sending" ? this.pause() : this.resume()));
    this.ender = this.button("Cancel", () => this.cancel());
    this.li = element("li", {}, element("span", { className: "what", textContent: this.path.replace(/^@[^/]*\//, "") }), this.says, this.bar, element("span", { className: "row" }, this.pauser, this.ender));
    const list = here.querySelector(".transfers");
    list.append(this.li);
    [...list.querySelectorAll("li.over")].slice(0, -shown).forEach((old) => old.remove());
  }

  button(text, fn) {
    const b = element("button", { type: "button", className: "quiet small", textContent: text });
    b.setAttribute("aria-label", `${text} ${this.path}`);
    b.addEventListener("click", fn);
    return b;
  }

  label(b, text) {
    b.textContent = text;
    b.setAttribute("aria-label", `${text} ${this.path}`);
  }

  start() {
    this.state = "sending";
    this.row();
    this.label(this.pauser, "Pause");
    this.tell("starting");
    this.upload ??= new window.tus.Upload(this.file, {
      endpoint: here.dataset.endpoint,
      headers: { "X-CSRF-Token": csrf },
      metadata: { filename: this.file.name, path: this.path, filetype: this.file.type, modified: new Date(this.file.lastModified).toISOString() },
      fingerprint: async () => ["plumb-files", here.dataset.person, this.path, this.file.size, this.file.lastModified].join("|"),
      removeFingerprintOnSuccess: true,
      uploadDataDuringCreation: this.file.size <= 1 << 20,
      retryDelays: delays,
      onShouldRetry: (err) => {
        const status = err.originalResponse?.getStatus() ?? 0;
        const yes = status === 0 || status === 408 || status === 409 || status === 423 || status === 429 || (status >= 500 && status !== 507);
        if (yes && this.state === "sending") this.tell(status ? "the server is busy; it goes on by itself" : "the server does not answer; it goes on by itself");
        return yes;
      },
      onProgress: (sent) => this.progress(sent),
      onSuccess: () => this.over("stored", `${bytes(this.file.size)}, stored`),
      onError: (err) => this.fail(err),
    });
    const begin = this.previous ? Promise.resolve([this.previous]) : this.upload.findPreviousUploads();
    begin.then((list) => {
      if (this.state !== "sending") return;
      if (list.length && !this.upload.url) this.upload.resumeFromPreviousUpload(list[0]);
      this.upload.start();
    });
  }

  progress(sent) {
    if (this.state !== "sending") return;
    const size = this.file.size || 1;
    this.sent = sent;
    this.bar.value = sent / size;
    this.tell(`${bytes(sent)} of ${bytes(this.file.size)}`);
    total();
  }

  tell(text) { if (this.says.textContent !== text) this.says.textContent = text; }

  pause() {
    this.state = "paused";
    this.upload.abort();
    this.label(this.pauser, "Resume");
    this.tell(`paused at ${bytes(this.sent)} of ${bytes(this.file.size)}`);
    next();
  }

  resume() {
    if (this.state === "failed") failed--;
    lost.delete(this);
    if (!all.includes(this)) all.push(this);
    this.li.classList.remove("wrong");
    this.start();
    total();
  }

  async cancel() {
    const was = this.state;
    this.state = "cancelled";
    if (was === "failed") failed--;
    lost.delete(this);
    this.leave();
    const after = this.li.nextElementSibling ?? this.li.previousElementSibling;
    const focused = this.li.contains(document.activeElement);
    this.li.remove();
    if (focused) (after?.querySelector("button") ?? here.querySelector("input[type=file]")).focus();
    next();
    // What arrived is given back; where the server is away it expires by itself.
    try { await this.upload.abort(true); } catch { /* as said */ }
  }

  fail(err) {
    if (this.state !== "sending") return;
    let why = "the server does not answer";
    const status = err.originalResponse?.getStatus() ?? 0;
    try { why = JSON.parse(err.originalResponse.getBody()).detail || why; } catch { if (status) why = `the server answered ${status}`; }
    this.state = "failed";
    failed++;
    if (status === 0) lost.add(this);
    this.li.classList.add("wrong");
    this.label(this.pauser, "Retry");
    this.tell(`not stored: ${why}`);
    this.leave();
    next();
  }

  over(state, text) {
    this.state = state;
    stored++;
    this.bar.value = 1;
    this.tell(text);
    this.li.classList.add("over");
    const focused = this.li.contains(document.activeElement);
    this.pauser.remove();
    this.ender.remove();
    if (focused) (here.querySelector(".transfers button") ?? here.querySelector("input[type=file]")).focus();
    this.leave();
    relist();
    next();
  }

  leave() {
    const i = all.indexOf(this);
    if (i >= 0) all.splice(i, 1);
  }
}

// next begins what waits.
function next() {
  for (const t of all) {
    if (all.filter((o) => o.state === "sending").length >= atOnce) break;
    if (t.state === "waiting") t.start();
  }
  total(true);
}

// total says how far it is, to those who listen too: at each end, else now and then.
let spoken = 0;
function total(now = false) {
  if (!now && Date.now() - spoken < 5000) return;
  spoken = Date.now();
  const sending = all.filter((t) => t.state === "sending").length, waiting = all.filter((t) => t.state === "waiting").length, paused = all.filter((t) => t.state === "paused").length;
  const parts = [];
  const files = (n) => `${number.format(n)} ${n === 1 ? "file" : "files"}`;
  if (sending) parts.push(`${files(sending)} on the way`);
  if (waiting) parts.push(`${number.format(waiting)} waiting`);
  if (paused) parts.push(`${number.format(paused)} paused`);
  if (stored) parts.push(`${files(stored)} stored`);
  if (failed) parts.push(`${number.format(failed)} not stored`);
  says.textContent = parts.length ? parts.join(", ") + "." : "";
}

function add(files) {
  const folder = here.dataset.in;
  for (const { file, path } of files.slice(0, most)) all.push(new Transfer(file, folder ? `${folder}/${path}` : path));
  next();
  if (files.length > most) says.textContent = `Only the first ${number.format(most)} files were taken.`;
}

const chosen = (input) => [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

// walk finds the files of what was dropped, folders and all.
async function walk(entry, before, found) {
  if (found.length > most) return;
  if (entry.isFile) {
    found.push({ file: await new Promise((yes, no) => entry.file(yes, no)), path: before + entry.name });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (!some.length) return;
    for (const e of some) await walk(e, `${before}${entry.name}/`, found);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((i) => i.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const e of entries) await walk(e, "", found);
  return found;
}

// unfinished lists uploads of before, which need their files again to go on: a browser
// forgets what was chosen when the page goes.
async function unfinished() {
  const mine = `plumb-files|${here.dataset.person}|`;
  for (const old of (await window.tus.defaultOptions.urlStorage.findAllUploads()).filter((u) => u.urlStorageKey.includes(mine)).slice(0, 20)) {
    const res = await fetch(old.uploadUrl, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } }).catch(() => null);
    const forget = () => window.tus.defaultOptions.urlStorage.removeUpload(old.urlStorageKey);
    if (res && (res.status === 404 || res.status === 410)) { await forget(); continue; }
    if (!res?.ok || all.some((t) => t.path === old.metadata.path)) continue;
    const input = element("input", { type: "file", hidden: true });
    const go = element("button", { type: "button", className: "quiet small", textContent: "Choose it to go on" });
    const end = element("button", { type: "button", className: "quiet small", textContent: "Give up" });
    const text = element("span", { className: "figure", textContent: `not finished: ${bytes(Number(res.headers.get("Upload-Offset")))} of ${bytes(old.size)} arrived` });
    const li = element("li", { className: "old" }, element("span", { className: "what", textContent: old.metadata.path.replace(/^@[^/]*\//, "") }), text, element("span", { className: "row" }, go, end, input));
    go.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const file = input.files[0];
      if (!file) return;
      if (file.size !== old.size || file.name !== old.metadata.filename) { text.textContent = "that is another file: choose the same one"; return; }
      li.remove();
      all.push(new Transfer(file, old.metadata.path, old));
      next();
    });
    end.addEventListener("click", async () => {
      li.remove();
      await forget();
      await fetch(old.uploadUrl, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0", "X-CSRF-Token": csrf } }).catch(() => null);
    });
    here.querySelector(".transfers").append(li);
  }
}

function uploads() {
  const form = here.querySelector("form"), input = form.querySelector("input[type=file]");
  says = here.querySelector(".says");
  form.querySelector("button").hidden = true;
  input.required = false;
  input.addEventListener("change", () => { add(chosen(input)); input.value = ""; });
  const folder = element("input", { type: "file", hidden: true });
  folder.webkitdirectory = true;
  folder.addEventListener("change", () => { add(chosen(folder)); folder.value = ""; });
  const pick = element("button", { type: "button", className: "quiet", textContent: "A whole folder" });
  pick.addEventListener("click", () => folder.click());
  form.append(pick, folder);
  form.addEventListener("submit", (e) => e.preventDefault());
  here.append(element("p", { className: "soft hint", textContent: "Or drop files and folders anywhere on this page. An upload that breaks off goes on where it was." }));

  const carries = (e) => [...(e.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragover", (e) => { if (carries(e)) { e.preventDefault(); document.body.classList.add("dropping"); } });
  addEventListener("dragleave", (e) => { if (!e.relatedTarget) document.body.classList.remove("dropping"); });
  addEventListener("drop", async (e) => {
    if (!carries(e)) return;
    e.preventDefault();
    document.body.classList.remove("dropping");
    add(await dropped(e.dataTransfer));
  });
  addEventListener("online", () => [...lost].forEach((t) => t.resume()));
  addEventListener("beforeunload", (e) => { if (all.some((t) => t.state === "sending" || t.state === "waiting")) e.preventDefault(); });
  unfinished();
}

// Comforts

// The menu of a row stands at its button.
addEventListener("toggle", (e) => {
  const menu = e.target;
  if (!menu.matches?.(".menu[popover]") || e.newState !== "open") return;
  const at = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  menu.classList.add("placed");
  const top = at.bottom + menu.offsetHeight + 8 > innerHeight ? Math.max(8, at.top - menu.offsetHeight - 4) : at.bottom + 4;
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
  menu.querySelector("a, button")?.focus();
}, true);

document.addEventListener("keydown", (e) => {
  const menu = e.target.closest?.(".menu[popover]");
  if (menu && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
    e.preventDefault();
    const list = [...menu.querySelectorAll("a, button")], i = list.indexOf(document.activeElement);
    list[(i + (e.key === "ArrowDown" ? 1 : list.length - 1)) % list.length].focus();
  }
  const drop = e.target.closest?.("details.drop[open]");
  if (drop && e.key === "Escape") { drop.open = false; drop.querySelector("summary").focus(); }
});

// Enter in a tick's box would press the form's first button.
document.addEventListener("keypress", (e) => { if (e.key === "Enter" && e.target.matches?.(".tick input")) e.preventDefault(); });

document.addEventListener("click", (e) => {
  const link = e.target.closest?.("a[data-rename]"), dialog = document.getElementById("rename");
  if (link && dialog && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
    e.preventDefault();
    link.closest("[popover]")?.hidePopover();
    const name = link.dataset.rename, input = dialog.querySelector("input[name=name]");
    dialog.querySelector("form").action = new URL(link.href).pathname;
    // The key that pressed the link must not press the form's button too.
    setTimeout(() => {
      input.value = name;
      dialog.showModal();
      const dot = name.lastIndexOf(".");
      input.setSelectionRange(0, dot > 0 ? dot : name.length);
    }, e.detail ? 0 : 80);
  }
  if (e.target.closest?.("[data-close]")) e.target.closest("dialog").close();
});

document.querySelectorAll("details.drop").forEach((d) => d.addEventListener("toggle", () => { if (d.open) d.querySelector("input:not([type=hidden])")?.focus(); }));

// Ticks: one for all, and what can be done only when something is ticked.
function ticks() {
  const form = document.querySelector("form:has(> .chosen)"), head = form?.querySelector("th.tick");
  if (!form || !head || head.querySelector("input")) return;
  const boxes = () => [...form.querySelectorAll("td.tick input")];
  const one = element("input", { type: "checkbox" });
  one.setAttribute("aria-label", "Choose all on this page");
  head.append(one);
  const follow = () => {
    const n = boxes().filter((b) => b.checked).length;
    one.checked = n > 0 && n === boxes().length;
    one.indeterminate = n > 0 && !one.checked;
    form.querySelector(".chosen").hidden = n === 0;
    form.querySelector(".chosen span").textContent = n === 1 ? "With what is ticked:" : `With ${n} that are ticked:`;
  };
  one.addEventListener("change", () => { boxes().forEach((b) => { b.checked = one.checked; }); follow(); });
  form.addEventListener("change", follow);
  follow();
}

document.addEventListener("htmx:load", ticks);
ticks();
if (here && window.tus?.isSupported) uploads();
