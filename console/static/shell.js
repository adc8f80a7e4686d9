// Comforts of the console. Every page works without them.
"use strict";
(() => {
  // A button that copies what stands in the block.
  const copies = root => {
    if (!navigator.clipboard) return;
    for (const pre of root.querySelectorAll("pre[data-copy]")) {
      const b = document.createElement("button");
      b.type = "button"; b.className = "quiet small copy"; b.textContent = "Copy";
      b.addEventListener("click", async () => {
        await navigator.clipboard.writeText(pre.textContent.trim());
        b.textContent = "Copied";
        setTimeout(() => { b.textContent = "Copy"; }, 2000);
      });
      pre.after(b);
    }
  };

  // Live pages ask for themselves again, unless the reader is busy in them, has
  // paused them, or looks elsewhere.
  let paused = false;
  const live = () => {
    const main = document.getElementById("main");
    const every = Number(main?.dataset.refresh);
    if (!every) return;
    const b = document.createElement("button");
    b.type = "button"; b.className = "quiet small"; b.textContent = "Pause updates";
    b.setAttribute("aria-pressed", "false");
    b.addEventListener("click", () => {
      paused = !paused;
      b.setAttribute("aria-pressed", String(paused));
      b.textContent = paused ? "Updates paused" : "Pause updates";
    });
    document.querySelector("footer .wrap")?.prepend(b);
    const busy = () => paused || document.hidden || (document.activeElement !== main && main.contains(document.activeElement)) || !getSelection().isCollapsed;
    setInterval(async () => {
      if (busy()) return;
      try {
        const res = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
        if (!res.ok || res.redirected || busy()) return;
        const next = new DOMParser().parseFromString(await res.text(), "text/html").getElementById("main");
        if (!next) return;
        main.replaceChildren(...next.childNodes);
        copies(main);
        main.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true })); // js/main.js enlivens what is new
      } catch { /* the server is away: the next round tries again */ }
    }, every * 1000);
  };

  // Quick results below the search box.
  const finder = () => {
    const box = document.querySelector(".finder input"), list = document.querySelector(".quick");
    if (!box || !list) return;
    let timer, last = "";
    const hide = () => { list.hidden = true; };
    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const q = last = box.value.trim();
        if (!q) return hide();
        try {
          const res = await fetch("/search?part=1&q=" + encodeURIComponent(q));
          if (!res.ok || q !== last) return;
          list.replaceChildren(...new DOMParser().parseFromString(await res.text(), "text/html").body.childNodes);
          list.hidden = false;
        } catch { hide(); }
      }, 150);
    });
    const links = () => [...list.querySelectorAll("a")];
    document.addEventListener("keydown", e => {
      if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(input|textarea|select)$/i.test(document.activeElement.tagName)) {
        e.preventDefault(); box.focus();
      } else if (e.key === "Escape" && !list.hidden) {
        hide(); box.focus();
      } else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && !list.hidden && box.form.contains(document.activeElement)) {
        e.preventDefault();
        const all = [box, ...links()], at = all.indexOf(document.activeElement);
        all[(at + (e.key === "ArrowDown" ? 1 : all.length - 1)) % all.length].focus();
      }
    });
    document.addEventListener("click", e => { if (!box.form.contains(e.target)) hide(); });
    box.form.addEventListener("focusout", e => { if (e.relatedTarget && !box.form.contains(e.relatedTarget)) hide(); });
  };

  // htmx sends the CSRF token with what changes something.
  document.addEventListener("htmx:configRequest", e => {
    e.detail.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf"]')?.content ?? "";
  });

  copies(document); live(); finder();
  // A sign-in link's button presses itself: a person opened it, and a mail
  // scanner runs no scripts.
  document.querySelector("form[data-send]")?.requestSubmit();
})();
