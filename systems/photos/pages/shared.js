"use strict";
(() => {
  const wall = document.querySelector(".wall"), make = (tag, props = {}, ...below) => { const e = Object.assign(document.createElement(tag), props); e.append(...below); return e; };
  if (!wall || !window.HTMLDialogElement) return;
  const links = () => [...wall.querySelectorAll("a[data-size]")];

  // More, while one scrolls. A fetched page brings the places of its photos along.
  let busy = false;
  const grow = async () => {
    const more = document.querySelector(".more a");
    if (busy || !more) return;
    busy = true;
    try {
      const res = await fetch(more.href);
      if (!res.ok) throw 0;
      // The page's own styles, which its policy allows and ours does not, are put aside.
      const text = (await res.text()).replace(/<style( class="places")?>([^<]*)<\/style>/g, "<template$1>$2</template>");
      const page = new DOMParser().parseFromString(text, "text/html"), rules = new CSSStyleSheet();
      rules.replaceSync(page.querySelector("template.places").content.textContent);
      document.adoptedStyleSheets.push(rules);
      wall.append(...page.querySelectorAll(".wall > li"));
      const next = page.querySelector(".more a");
      if (next) more.href = next.href; else { more.remove(); foot.classList.remove("wait"); }
      if (box.open) fill();
    } catch { eye.disconnect(); foot.classList.remove("wait"); }
    busy = false;
    if (document.querySelector(".more a")) { eye.unobserve(foot); eye.observe(foot); }
  };
  const foot = document.querySelector(".more"), eye = new IntersectionObserver((s) => { if (s.some((e) => e.isIntersecting)) grow(); }, { rootMargin: "1200px" });
  if (foot) { foot.classList.add("wait"); eye.observe(foot); } // what stands below would jump when more comes

  // One photo after another: a row of them that snaps, which a finger scrolls by itself.
  const track = make("div", { className: "track", tabIndex: 0 }), count = make("span", { className: "count" }), says = make("p", { className: "says" }), save = make("a", { className: "save", textContent: "Save", hidden: true });
  const shut = make("button", { type: "button", textContent: "\u2715", ariaLabel: "Close" });
  const turn = (by, text, label) => { const b = make("button", { type: "button", className: "turn", textContent: text, ariaLabel: label }); b.dataset.by = by; return b; };
  const box = make("dialog", { ariaLabel: "Photo" }, make("div", { className: "top" }, count, shut), track, turn(-1, "\u2039", "Previous photo"), turn(1, "\u203a", "Next photo"), make("div", { className: "bottom" }, says, save));
  count.setAttribute("aria-live", "polite");
  document.body.append(box);
  let at = 0, still = 0, home = location.href;

  const fill = () => {
    const list = links();
    for (let i = track.children.length; i < list.length; i++) track.append(make("figure"));
  };
  const load = (i) => {
    const a = links()[i], slide = track.children[i];
    if (!a || !slide || slide.firstChild) return;
    const img = make("img", { alt: a.querySelector("img").alt, sizes: "100vw", decoding: "async", draggable: false });
    const [w, h] = a.dataset.size.split(" ").map(Number), long = Math.max(w, h), base = a.pathname;
    img.srcset = [["small", 400], ["medium", 1000], ["large", 2000]].map(([name, edge]) => `${base}/${name} ${Math.max(1, Math.round(w * Math.min(1, edge / long)))}w`).filter((v, i, all) => !i || v.split(" ")[1] !== all[i - 1].split(" ")[1]).join(", ");
    img.src = `${base}/medium`;
    slide.style.backgroundImage = `url("${base}/small")`; // until it is there
    img.addEventListener("load", () => { slide.style.backgroundImage = ""; });
    slide.append(img);
  };
  const show = (i) => {
    const list = links();
    at = Math.max(0, Math.min(i, list.length - 1));
    [at, at + 1, at - 1].forEach(load);
    for (let j = 0; j < track.children.length; j++) if (Math.abs(j - at) > 4) track.children[j].replaceChildren(); // a phone holds a few
    const a = list[at], total = Number(wall.dataset.total) || list.length;
    count.textContent = `${at + 1} of ${total}`;
    says.replaceChildren(a.dataset.caption ?? "", make("small", { textContent: a.dataset.when ?? "" }));
    save.hidden = !("save" in wall.dataset);
    save.href = `${a.pathname}/original`;
    box.querySelector('[data-by="-1"]').disabled = at === 0;
    box.querySelector('[data-by="1"]').disabled = at === list.length - 1 && !document.querySelector(".more a");
    history.replaceState({ photo: at }, "", a.href);
    if (at > list.length - 4) grow();
  };
  const go = (i, smooth) => {
    i = Math.max(0, Math.min(i, links().length - 1));
    load(i);
    track.scrollTo({ left: i * track.clientWidth, behavior: smooth && matchMedia("(prefers-reduced-motion: no-preference)").matches ? "smooth" : "instant" });
    if (!smooth) show(i);
  };
  const open = (i) => {
    fill();
    history.pushState({ photo: i }, "", links()[i].href);
    box.showModal();
    go(i);
    track.focus();
  };
  const close = () => { if (box.open) box.close(); };

  wall.addEventListener("click", (e) => {
    const a = e.target.closest("a[data-size]");
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    open(links().indexOf(a));
  });
  track.addEventListener("scroll", () => {
    clearTimeout(still);
    const i = Math.round(track.scrollLeft / track.clientWidth);
    load(i);
    still = setTimeout(() => { if (box.open && i !== at) show(i); }, 90);
  }, { passive: true });
  let aim = 0;
  const step = (by) => { const now = Math.round(track.scrollLeft / track.clientWidth); aim = Math.max(0, Math.min((Math.abs(aim - now) > 1 ? now : aim) + by, links().length - 1)); go(aim, true); };
  track.addEventListener("scrollend", () => { aim = Math.round(track.scrollLeft / track.clientWidth); });
  box.addEventListener("keydown", (e) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1 }[e.key];
    if (by) { e.preventDefault(); step(by); }
    if (e.key === "Home") { e.preventDefault(); go(0); }
    if (e.key === "End") { e.preventDefault(); go(links().length - 1); }
  });
  box.addEventListener("click", (e) => { const b = e.target.closest(".turn"); if (b) step(Number(b.dataset.by)); });
  shut.addEventListener("click", () => history.back());
  box.addEventListener("cancel", (e) => { e.preventDefault(); history.back(); });
  box.addEventListener("close", () => links()[at]?.focus());
  addEventListener("popstate", () => { if (box.open) close(); });
  addEventListener("resize", () => { if (box.open) go(at); });
})();
