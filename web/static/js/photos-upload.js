// Uploads of the room of photos: several at once, each with its progress, tried again
// when the line is cut. Without scripts the same form sends its files in one piece.

const csrf = () => document.querySelector('meta[name="csrf"]')?.content ?? "";
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const atOnce = 3, most = 5000, shown = 200;
const pauses = [500, 1000, 2000, 4000, 8000, ...Array(60).fill(10000)]; // a server that is replaced needs minutes

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i ? number.format(n) : Math.round(n)} ${units[i]}`;
}

export function element(tag, props = {}, ...below) {
  const el = Object.assign(document.createElement(tag), props);
  el.append(...below);
  return el;
}

// icon is drawn as those of the page are, of which there is one at least.
export function icon(name) {
  const svg = document.querySelector("main svg.icon").cloneNode(true);
  svg.setAttribute("class", "icon");
  svg.querySelector("use").setAttribute("href", `/static/icons.svg#${name}`);
  return svg;
}

let form, box, list, head, bar, live, changed;
const all = []; // in their order: {state: waiting, sending, pausing, over, same, wrong}

class Transfer {
  constructor(file) {
    Object.assign(this, { file, name: file.name || "a photo", state: "waiting", sent: 0, tries: 0, key: crypto.randomUUID() });
  }

  row() {
    if (this.li) return;
    this.says = element("span", { className: "figure", textContent: "waiting" });
    this.bar = element("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", this.name);
    this.act = element("span", { className: "act" });
    this.what = element("span", { className: "what", textContent: this.name, title: this.name });
    this.li = element("li", {}, this.thumb(), this.what, this.says, this.bar, this.act);
    this.buttons(["Cancel", "cross", () => this.cancel()]);
    list.append(this.li);
  }

  // thumb shows the file itself while it is sent. Large ones would cost the phone too much.
  thumb() {
    const img = element("img", { className: "thumb", alt: "", width: 40, height: 40 });
    if (this.file.size > 12 << 20 || !/^image\/(jpeg|png|webp|gif|avif)$/.test(this.file.type)) return Object.assign(element("span", { className: "thumb" }));
    const url = URL.createObjectURL(this.file);
    img.addEventListener("load", () => URL.revokeObjectURL(url));
    img.addEventListener("error", () => { URL.revokeObjectURL(url); img.replaceWith(element("span", { className: "thumb" })); });
    img.src = url;
    return img;
  }

  buttons(...some) {
    const focused = this.act.contains(document.activeElement);
    this.act.replaceChildren(...some.map(([text, name, fn]) => {
      const b = element("button", { type: "button", className: "quiet small", title: text }, icon(name));
      b.setAttribute("aria-label", `${text} ${this.name}`);
      b.addEventListener("click", fn);
      return b;
    }));
    if (focused) (this.act.querySelector("button") ?? head.querySelector("button")).focus();
  }

  start() {
    this.state = "sending";
    const q = new URLSearchParams({ name: this.name });
    if (form.dataset.album) q.set("album", form.dataset.album);
    const x = this.x = new XMLHttpRequest();
    x.open("POST", `${form.dataset.endpoint}?${q}`);
    x.setRequestHeader("X-CSRF-Token", csrf());
    x.setRequestHeader("Idempotency-Key", this.key); // tried again, it is still one upload
    if (this.file.lastModified) x.setRequestHeader("X-Modified", new Date(this.file.lastModified).toISOString());
    x.setRequestHeader("Content-Type", this.file.type || "application/octet-stream");
    x.upload.addEventListener("progress", (e) => {
      this.sent = e.loaded;
      this.bar.value = e.total ? e.loaded / e.total : 0;
      this.says.textContent = e.loaded < e.total ? `${bytes(e.loaded)} of ${bytes(e.total)}` : "being looked at";
      total();
    });
    x.addEventListener("load", () => this.answered(x.status, x.responseText, x.getResponseHeader("Retry-After")));
    x.addEventListener("error", () => this.again("the line is cut"));
    x.addEventListener("timeout", () => this.again("the server does not answer"));
    x.send(this.file);
    this.says.textContent = "starting";
  }

  answered(status, text, wait) {
    let body = {};
    try { body = JSON.parse(text); } catch { /* no document: the status says it */ }
    if (status === 200 || status === 201) {
      this.done(body);
    } else if (status === 429 || status === 503 || status === 502 || status === 504 || status === 409 && /under way/.test(body.detail ?? "")) {
      this.again("the server is busy", Number(wait) * 1000);
    } else {
      this.fail(body.detail || body.title || `the server answered ${status}`);
    }
  }

  done(photo) {
    this.sent = this.file.size;
    const same = photo.duplicate_of || photo.duplicate;
    this.id = photo.duplicate_of || photo.id;
    this.state = same ? "same" : "over";
    this.li.classList.add("over", this.state);
    this.says.textContent = same ? `is here already${photo.name && photo.name !== this.name ? `, as “${photo.name}”` : ""}` : bytes(this.file.size);
    this.what.replaceChildren(element("a", { href: `/photos/${this.id}`, textContent: this.name }));
    this.buttons();
    this.drop();
    next();
    changed();
  }

  // again waits longer each time; going online ends the pause.
  again(why, wait) {
    if (this.state !== "sending") return;
    if (this.tries >= pauses.length) return this.fail(why);
    this.state = "pausing";
    const pause = Math.max(pauses[this.tries++], wait || 0);
    this.says.textContent = `${why}; it is tried again`;
    this.timer = setTimeout(() => this.wake(), pause);
    next();
  }

  wake() {
    if (this.state !== "pausing") return;
    clearTimeout(this.timer);
    this.state = "waiting";
    next();
  }

  fail(why) {
    this.state = "wrong";
    this.li.classList.add("wrong");
    this.says.textContent = `not taken: ${why}`;
    this.buttons(["Try again", "again", () => this.retry()], ["Dismiss", "cross", () => this.cancel()]);
    next();
  }

  retry() {
    Object.assign(this, { state: "waiting", tries: 0, sent: 0, key: crypto.randomUUID() });
    this.li.classList.remove("wrong");
    this.bar.value = 0;
    this.says.textContent = "waiting";
    this.buttons(["Cancel", "cross", () => this.cancel()]);
    next();
  }

  cancel() {
    this.state = "gone";
    clearTimeout(this.timer);
    this.x?.abort();
    all.splice(all.indexOf(this), 1);
    const focused = this.li?.contains(document.activeElement), after = this.li?.nextElementSibling ?? this.li?.previousElementSibling;
    this.li?.remove();
    if (focused) (after?.querySelector("button") ?? head.querySelector("button")).focus();
    next();
  }

  // drop forgets the file's bytes, which a long list would hold.
  drop() { this.file = { size: this.file.size, name: this.file.name }; this.x = null; }
}

function next() {
  for (const t of all) {
    if (all.filter((o) => o.state === "sending").length >= atOnce) break;
    if (t.state === "waiting") t.start();
  }
  total(true);
}

// total says how far all of them are, to those who listen too: at each end, else now and then.
let spoken = 0;
function total(now = false) {
  const count = (state) => all.filter((t) => t.state === state).length;
  const over = count("over"), same = count("same"), wrong = count("wrong"), open = all.length - over - same - wrong;
  const size = all.reduce((n, t) => n + (t.state === "wrong" ? 0 : t.file.size), 0) || 1, sent = all.reduce((n, t) => n + (t.state === "wrong" ? 0 : Math.min(t.sent, t.file.size)), 0);
  bar.value = open ? sent / size : 1;
  bar.hidden = !open;
  const photos = (n) => `${number.format(n)} ${n === 1 ? "photo" : "photos"}`;
  const parts = [];
  if (open) parts.push(`${photos(open)} to go`);
  if (over) parts.push(`${number.format(over)} added`);
  if (same) parts.push(`${number.format(same)} here already`);
  if (wrong) parts.push(`${number.format(wrong)} not taken`);
  const text = parts.join(", ");
  head.querySelector("h3").textContent = text;
  head.querySelector(".close").hidden = open > 0;
  if (!now && Date.now() - spoken < 5000) return;
  spoken = Date.now();
  if (live.textContent !== text) live.textContent = text;
}

function add(files) {
  const some = [...files].slice(0, most - all.length);
  if (!some.length) return;
  box.hidden = false;
  for (const f of some) {
    const t = new Transfer(f);
    all.push(t);
    if (list.children.length < shown) t.row();
  }
  for (const t of all) t.row(); // each has one before it starts; those that are over make room
  const over = [...list.querySelectorAll("li.over")];
  over.slice(0, Math.max(0, list.children.length - shown)).forEach((li) => li.remove());
  if (files.length > some.length) live.textContent = `Only the first ${number.format(some.length)} were taken: choose the rest when these are done.`;
  next();
}

function frame() {
  live = element("p", { className: "sr" });
  live.setAttribute("aria-live", "polite");
  list = element("ul", { className: "transfers" });
  list.setAttribute("aria-label", "Uploads");
  bar = element("progress", { max: 1, value: 0 });
  bar.setAttribute("aria-label", "All uploads");
  const fold = element("button", { type: "button", className: "quiet small", textContent: "Fold" });
  fold.addEventListener("click", () => { fold.textContent = box.classList.toggle("folded") ? "Unfold" : "Fold"; });
  const close = element("button", { type: "button", className: "quiet small close", textContent: "Close", hidden: true });
  close.addEventListener("click", () => { box.hidden = true; all.length = 0; list.replaceChildren(); form.querySelector("input[type=file]").focus(); });
  head = element("header", {}, element("h3", {}), fold, close);
  box = element("section", { className: "transfers-box", hidden: true }, head, bar, list);
  box.setAttribute("aria-label", "Uploads");
  document.body.append(box, live);
}

// walk finds the photos of what was dropped, folders and all.
async function walk(entry, found) {
  if (found.length >= most) return;
  if (entry.isFile) {
    const file = await new Promise((yes, no) => entry.file(yes, no));
    if (!file.name.startsWith(".")) found.push(file);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (!some.length) return;
    for (const e of some) await walk(e, found);
  }
}

async function dropped(data) {
  const entries = [...data.items].map((i) => i.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...data.files];
  const found = [];
  for (const e of entries) await walk(e, found);
  return found;
}

// shared takes what another app of the phone handed over; the worker of this page
// keeps it until then (see pages/worker.js in the room).
async function shared() {
  if (!("caches" in window) || !new URLSearchParams(location.search).has("shared")) return;
  const store = await caches.open("plumb-photos-shared");
  const files = [];
  for (const key of await store.keys()) {
    const res = await store.match(key), blob = await res.blob();
    files.push(new File([blob], decodeURIComponent(res.headers.get("X-Name") || "shared"), { type: blob.type }));
    await store.delete(key);
  }
  history.replaceState(null, "", location.pathname);
  if (files.length) ask(files);
}

// ask lets the person say whether they sent what came: the form that hands it over is one
// that a page of any other site can send too.
function ask(files) {
  const names = files.slice(0, 5).map((f) => f.name).join(", ") + (files.length > 5 ? ", …" : "");
  const yes = element("button", { type: "button", className: "small", textContent: "Add" }), no = element("button", { type: "button", className: "quiet small", textContent: "Leave out" });
  const asks = element("section", { className: "transfers-box asks" }, element("header", {}, element("h3", { textContent: `Add ${number.format(files.length)} from another app?` }), yes, no), element("p", { className: "soft", textContent: names }));
  asks.setAttribute("aria-label", "From another app");
  yes.addEventListener("click", () => { asks.remove(); add(files); });
  no.addEventListener("click", () => asks.remove());
  document.body.append(asks);
  no.focus();
}

// uploads makes the form of a page take files by choosing, dropping and pasting. again is
// called when there is something new to show.
export function uploads(again) {
  form = document.querySelector("form.adder");
  if (!form) return;
  changed = again;
  frame();
  const input = form.querySelector("input[type=file]");
  input.required = false;
  input.addEventListener("change", () => { add(input.files); input.value = ""; });
  form.addEventListener("submit", (e) => e.preventDefault());
  const carries = (e) => [...(e.dataTransfer?.types ?? [])].includes("Files");
  const over = (on) => { document.body.classList.toggle("dropping", on); document.body.dataset.drop = form.dataset.drop; };
  addEventListener("dragover", (e) => { if (carries(e)) { e.preventDefault(); over(true); } });
  addEventListener("dragleave", (e) => { if (!e.relatedTarget) over(false); });
  addEventListener("drop", async (e) => {
    if (!carries(e)) return;
    e.preventDefault();
    over(false);
    add(await dropped(e.dataTransfer));
  });
  addEventListener("paste", (e) => { if (e.clipboardData?.files.length) { e.preventDefault(); add(e.clipboardData.files); } });
  addEventListener("online", () => all.forEach((t) => t.wake()));
  addEventListener("beforeunload", (e) => { if (all.some((t) => ["sending", "waiting", "pausing"].includes(t.state))) e.preventDefault(); });
  shared();
}
