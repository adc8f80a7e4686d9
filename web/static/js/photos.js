// The room of photos: choosing by keys, mouse and finger, more photos while one scrolls,
// one photo to the next, the order of an album, uploads. Every page works without it.
import { uploads, element, icon } from "./photos-upload.js";

const body = document.body;
const typing = (e) => e.target.closest?.("input:not([type=checkbox]), textarea, select, dialog") || e.ctrlKey || e.metaKey || e.altKey;

// Choosing

const shots = () => [...document.querySelectorAll(".shot")];
const ticked = () => shots().filter((s) => s.querySelector("input")?.checked);
let anchor = null; // where a range begins

function choose(shot, on) {
  const tick = shot.querySelector("input");
  if (tick) tick.checked = on;
}

function follow() {
  const n = ticked().length, bar = document.querySelector(".chosen");
  body.classList.toggle("choosing", n > 0);
  if (bar) bar.querySelector(".says").textContent = n === 1 ? "1 photo chosen" : `${n} photos chosen`;
  bar?.querySelectorAll("[data-most]").forEach((b) => { b.disabled = n > Number(b.dataset.most); });
}

// range ticks everything from the last choice to this one.
function range(to, on) {
  const list = shots(), a = list.indexOf(anchor), b = list.indexOf(to);
  if (a < 0) return choose(to, on);
  list.slice(Math.min(a, b), Math.max(a, b) + 1).forEach((s) => choose(s, on));
}

function choosing() {
  const form = document.getElementById("choose");
  if (!form) return;
  document.addEventListener("click", (e) => {
    const shot = e.target.closest?.(".shot");
    if (!shot || e.target.closest("button")) return;
    const tick = shot.querySelector("input"), onTick = e.target.closest("label");
    if (onTick) { // the browser ticks it by itself, after the label's click
      if (e.target === tick) {
        if (e.shiftKey) range(shot, tick.checked);
        anchor = shot;
        follow();
      }
      return;
    }
    if (!body.classList.contains("choosing") || e.ctrlKey || e.metaKey) return;
    e.preventDefault(); // while some are chosen a photo's own place chooses it too
    if (e.shiftKey) range(shot, true); else choose(shot, !tick.checked);
    anchor = shot;
    follow();
  });
  // A finger that rests begins to choose.
  let timer, started = null;
  document.addEventListener("pointerdown", (e) => {
    const shot = e.target.closest?.(".shot");
    if (!shot || e.pointerType !== "touch" || e.target.closest("label")) return;
    started = null;
    timer = setTimeout(() => { started = shot; choose(shot, true); anchor = shot; follow(); navigator.vibrate?.(10); }, 450);
  });
  for (const end of ["pointerup", "pointercancel", "pointermove"]) {
    document.addEventListener(end, (e) => { if (end !== "pointermove" || Math.hypot(e.movementX, e.movementY) > 6) clearTimeout(timer); });
  }
  document.addEventListener("contextmenu", (e) => { if (started && e.target.closest?.(".shot") === started) e.preventDefault(); });
  document.addEventListener("click", (e) => { if (started && e.target.closest?.(".shot") === started) { e.preventDefault(); e.stopImmediatePropagation(); started = null; } }, true);

  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && body.classList.contains("choosing") && !e.target.closest?.("dialog")) { shots().forEach((s) => choose(s, false)); follow(); return; }
    if (e.key === "a" && (e.ctrlKey || e.metaKey) && shots().length && !e.target.closest?.("input:not([type=checkbox]), textarea")) { e.preventDefault(); shots().forEach((s) => choose(s, true)); follow(); return; }
    const shot = e.target.closest?.(".shot");
    if (!shot || typing(e)) return;
    if (e.key === "x" || e.key === "X") {
      e.preventDefault();
      const tick = shot.querySelector("input");
      if (e.key === "X") range(shot, true); else choose(shot, !tick.checked);
      anchor = shot;
      follow();
      return;
    }
    const to = neighbour(shot, e.key);
    if (!to) return;
    e.preventDefault();
    if (e.shiftKey) { if (!anchor) anchor = shot; choose(shot, true); choose(to, true); follow(); }
    to.querySelector("a").focus();
  });
  // Enter in a tick's box would press the form's first button.
  document.addEventListener("keypress", (e) => { if (e.key === "Enter" && e.target.matches?.(".shot input")) e.preventDefault(); });
  document.addEventListener("change", (e) => { if (e.target.matches?.(".shot input")) follow(); });
  form.querySelector("[data-clear]")?.addEventListener("click", () => { shots().forEach((s) => choose(s, false)); follow(); });
  form.addEventListener("submit", act);
  follow();
}

// neighbour is the photo that an arrow leads to: up and down in the nearest row.
function neighbour(shot, key) {
  const list = shots(), i = list.indexOf(shot);
  if (key === "ArrowRight") return list[i + 1];
  if (key === "ArrowLeft") return list[i - 1];
  if (key === "Home") return list[0];
  if (key === "End") return list.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const step = key === "ArrowDown" ? 1 : -1, at = shot.getBoundingClientRect(), middle = at.left + at.width / 2;
  let best = null, top = null;
  for (let j = i + step; j >= 0 && j < list.length; j += step) {
    const r = list[j].getBoundingClientRect();
    if (Math.abs(r.top - at.top) < 4) continue;
    if (top === null) top = r.top;
    if (Math.abs(r.top - top) > 4) break;
    const off = Math.abs(r.left + r.width / 2 - middle);
    if (!best || off < best.off) best = { off, el: list[j] };
  }
  return best?.el;
}

// act sends what is done with the chosen ones, and changes the page in place: it stays
// where the reader was. What it cannot do in place the browser does by itself.
async function act(e) {
  const form = e.target, button = e.submitter, what = button?.value;
  if (!["favourite", "remove", "add", "out"].includes(what)) return;
  e.preventDefault();
  const some = ticked();
  const data = new URLSearchParams(new FormData(form, button));
  button.disabled = true;
  try {
    const res = await fetch(button.getAttribute("formaction") || form.action, { method: "POST", body: data, headers: { Accept: "text/html" } });
    const page = parse(await res.text());
    const note = page.querySelector(".note[role=status], .note[role=alert]") ?? element("div", { className: "note fault" }, element("p", { textContent: page.querySelector("h1")?.textContent ?? `The server answered ${res.status}` }));
    const fine = res.ok && note.getAttribute("role") === "status";
    if (fine && (what === "remove" || what === "out")) gone = some.map((s) => ({ shot: s, before: s.nextElementSibling, wall: s.parentElement }));
    if (fine && gone.length && (what === "remove" || what === "out")) gone.forEach(({ shot }) => shot.remove());
    if (fine && what === "favourite") {
      some.forEach((s) => {
        if (s.querySelector(".heart")) return;
        const mark = element("span", { className: "heart" }, icon("heart"), element("span", { className: "sr", textContent: "favourite" }));
        s.append(mark);
      });
    }
    const albums = page.querySelector(".chosen select[name=album]"), mine = form.querySelector("select[name=album]");
    if (albums && mine) { mine.replaceChildren(...albums.childNodes); form.querySelector("input[name=title]").value = ""; }
    if (fine) { shots().forEach((s) => choose(s, false)); follow(); }
    toast(note);
  } catch {
    toast(element("div", { className: "note fault", role: "alert" }, element("p", { textContent: "The server does not answer. Nothing was changed." })));
  }
  button.disabled = false;
}

let gone = []; // what was removed just now, and where it was

function toast(note) {
  const place = document.querySelector(".toasts") ?? body.appendChild(element("div", { className: "toasts" }));
  place.setAttribute("aria-live", "polite");
  note.id = "";
  place.replaceChildren(note);
  const undo = note.querySelector("form");
  if (!undo) setTimeout(() => note.remove(), 6000);
  const mine = gone;
  undo?.addEventListener("submit", async (e) => {
    e.preventDefault();
    const res = await fetch(undo.action, { method: "POST", body: new URLSearchParams(new FormData(undo, e.submitter)), headers: { Accept: "text/html" } }).catch(() => null);
    if (!res?.ok) return note.replaceChildren(element("p", { textContent: "That could not be undone: look into the bin." }));
    [...mine].reverse().forEach(({ shot, before, wall }) => wall.insertBefore(shot, before?.parentElement === wall ? before : null));
    note.remove();
    mine[0]?.shot.querySelector("a").focus();
  });
}

// More while one scrolls, and what is new

// parse reads a page. Its own rules, which its policy's nonce allowed and ours does not,
// are put aside.
function parse(text) {
  return new DOMParser().parseFromString(text.replace(/<style class="places"[^>]*>([^<]*)<\/style>/, '<template class="places">$1</template>'), "text/html");
}

// sheet takes over a fetched page's own rules: the places of its photos.
function sheet(page) {
  for (const places of page.querySelectorAll("template.places")) {
    const s = new CSSStyleSheet();
    s.replaceSync(places.content.textContent);
    document.adoptedStyleSheets.push(s);
  }
}

const fetched = async (url) => {
  const res = await fetch(url, { headers: { Accept: "text/html" } });
  if (!res.ok) throw new Error(res.status);
  return parse(await res.text());
};

// merge brings the months and photos of a fetched page in, those that are not here yet.
function merge(page, first) {
  sheet(page);
  const have = new Set(shots().map((s) => s.dataset.id));
  const home = document.querySelector(".months");
  for (const month of page.querySelectorAll(".months > .month")) {
    const mine = home.querySelector(`.month[data-month="${CSS.escape(month.dataset.month)}"]`);
    const fresh = [...month.querySelectorAll(".shot")].filter((s) => !have.has(s.dataset.id));
    if (!mine) {
      if (!fresh.length) continue;
      month.querySelectorAll(".shot").forEach((s) => { if (have.has(s.dataset.id)) s.remove(); });
      const later = [...home.children].find((m) => m.dataset.month < month.dataset.month);
      home.insertBefore(document.adoptNode(month), first ? later ?? null : null);
      continue;
    }
    const list = mine.querySelector(".wall");
    if (!first) { list.append(...fresh); continue; }
    // In their own order: each before the next one that is here.
    const order = [...month.querySelectorAll(".shot")];
    for (let i = order.length - 1; i >= 0; i--) {
      if (have.has(order[i].dataset.id)) continue;
      const after = order.slice(i + 1).map((s) => list.querySelector(`[data-id="${CSS.escape(s.dataset.id)}"]`)).find(Boolean);
      list.insertBefore(order[i], after ?? (i === order.length - 1 ? list.firstChild : null));
    }
  }
}

function endless() {
  const more = document.querySelector(".more");
  let link = more?.querySelector("a[rel=next]");
  if (!link) return;
  let busy = false;
  more.classList.add("wait"); // what stands below would jump when more comes
  const eye = new IntersectionObserver(async (seen) => {
    if (busy || !link || !seen.some((s) => s.isIntersecting)) return;
    busy = true;
    try {
      const page = await fetched(link.href), next = page.querySelector(".more a[rel=next]");
      merge(page, false);
      if (next) link.replaceWith(document.adoptNode(next)); else { link.remove(); more.classList.remove("wait"); }
      link = next;
      eye.unobserve(more);
      if (link) eye.observe(more); // still in sight: it tells again
    } catch { eye.disconnect(); more.classList.remove("wait"); /* the link stays: pressed, it leads on */ }
    busy = false;
  }, { rootMargin: "1500px" });
  eye.observe(more);
}

let timer;
function refresh() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    try {
      const page = await fetched(location.href);
      const nothing = document.querySelector(".empty"), form = page.getElementById("choose");
      if (document.querySelector(".months")) {
        merge(page, true);
      } else if (nothing && form) { // the first ones: the page gets its wall
        sheet(page);
        nothing.replaceWith(document.adoptNode(form));
        choosing();
        endless();
        rail();
      }
    } catch { /* the server is away: the page is as it was */ }
  }, 400);
}

// rail marks the month that is in sight.
function rail() {
  const marks = [...document.querySelectorAll(".rail a[data-month]")];
  if (!marks.length) return;
  const show = () => {
    const at = [...document.querySelectorAll(".month")].filter((m) => m.getBoundingClientRect().top < innerHeight / 3).at(-1)?.dataset.month;
    for (const a of marks) {
      if ((a.dataset.month === at) === a.hasAttribute("aria-current")) continue;
      a.toggleAttribute("aria-current");
      if (a.dataset.month === at) {
        a.setAttribute("aria-current", "true");
        const box = a.closest(".rail"), r = a.getBoundingClientRect(), b = box.getBoundingClientRect();
        if (r.top < b.top || r.bottom > b.bottom) box.scrollTop += r.top - b.top - b.height / 2;
        if (r.left < b.left || r.right > b.right) box.scrollLeft += r.left - b.left - b.width / 2;
      }
    }
  };
  let wait = false;
  addEventListener("scroll", () => { if (!wait) { wait = true; requestAnimationFrame(() => { wait = false; show(); }); } }, { passive: true });
  show();
  // A month that is on the page needs no new one.
  document.querySelector(".rail").addEventListener("click", (e) => {
    const a = e.target.closest("a[data-month]"), there = a && document.querySelector(`.month[data-month="${CSS.escape(a.dataset.month)}"]`);
    if (!there || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    there.scrollIntoView();
    there.querySelector(".shot a")?.focus({ preventScroll: true });
  });
}

// One photo: keys and swipes follow its links.

function stage() {
  const el = document.querySelector(".stage");
  if (!el) return;
  const go = (to) => { const a = el.querySelector(`a.${to}`); if (a) location.href = a.href; };
  document.addEventListener("keydown", (e) => {
    if (typing(e)) return;
    if (e.key === "ArrowLeft") go("prev");
    else if (e.key === "ArrowRight") go("next");
    else if (e.key === "f") document.querySelector("button[data-key=f]")?.click();
    else if (e.key === "Escape" && !document.fullscreenElement) { const up = document.querySelector("nav.crumbs a"); if (up) location.href = up.href; }
  });
  let from = null;
  el.addEventListener("touchstart", (e) => { from = e.touches.length === 1 && (window.visualViewport?.scale ?? 1) < 1.05 ? { x: e.touches[0].clientX, y: e.touches[0].clientY } : null; }, { passive: true });
  el.addEventListener("touchend", (e) => {
    if (!from) return;
    const dx = e.changedTouches[0].clientX - from.x, dy = e.changedTouches[0].clientY - from.y;
    from = null;
    if (Math.abs(dx) > 50 && Math.abs(dx) > 2 * Math.abs(dy)) go(dx < 0 ? "next" : "prev");
  }, { passive: true });
  if (document.fullscreenEnabled) {
    const b = element("button", { type: "button", className: "full", title: "Full screen" }, icon("full"));
    b.setAttribute("aria-label", "Full screen");
    b.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : el.requestFullscreen()));
    el.append(b);
  }
  // The next one is fetched while this one is looked at.
  for (const a of el.querySelectorAll("a[data-image]")) new Image().src = a.dataset.image;
}

// The order of an album, by dragging. Its buttons do it without.

function order() {
  const list = document.querySelector(".wall.order"), form = document.getElementById("order");
  if (!list || !form) return;
  let held = null;
  list.querySelectorAll(".shot").forEach((s) => { s.draggable = true; });
  list.addEventListener("dragstart", (e) => { held = e.target.closest(".shot"); held?.classList.add("held"); e.dataTransfer.effectAllowed = "move"; });
  list.addEventListener("dragover", (e) => {
    const over = e.target.closest(".shot");
    if (!held || !over) return;
    e.preventDefault();
    if (over === held) return;
    const r = over.getBoundingClientRect();
    list.insertBefore(held, e.clientX < r.left + r.width / 2 ? over : over.nextElementSibling);
  });
  list.addEventListener("drop", (e) => e.preventDefault());
  list.addEventListener("dragend", () => { held?.classList.remove("held"); held = null; });
  list.addEventListener("click", (e) => {
    const b = e.target.closest("button[data-step]"), shot = b?.closest(".shot");
    if (!shot) return;
    e.preventDefault();
    if (b.dataset.step === "-1") shot.previousElementSibling?.before(shot); else shot.nextElementSibling?.after(shot);
    b.focus();
  });
}

// A link that can be copied, and one that can be handed to another app.

function copies() {
  document.querySelectorAll("[data-copies]").forEach((b) => {
    const input = document.getElementById(b.dataset.copies);
    b.hidden = !navigator.clipboard;
    b.addEventListener("click", async () => {
      await navigator.clipboard.writeText(input.value);
      const was = b.textContent;
      b.textContent = "Copied";
      setTimeout(() => { b.textContent = was; }, 2000);
    });
    input?.addEventListener("focus", () => input.select());
  });
  document.querySelectorAll("[data-hands]").forEach((b) => {
    b.hidden = !navigator.share;
    b.addEventListener("click", () => navigator.share({ url: document.getElementById(b.dataset.hands).value }).catch(() => null));
  });
}

// What the phone needs to offer this room where photos are shared.
function install() {
  document.head.append(Object.assign(document.createElement("link"), { rel: "manifest", href: "/photos/app.webmanifest" }));
  if (document.querySelector("form.adder")) navigator.serviceWorker?.register("/photos/worker.js", { scope: "/photos/" }).catch(() => null);
}

choosing();
endless();
rail();
stage();
order();
copies();
uploads(refresh);
install();
