// Keeps what another app shares until the room's page uploads it; see web_app.go. Every
// other request goes its own way.
"use strict";

addEventListener("install", () => self.skipWaiting());
addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));

addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== "POST" || url.pathname !== "/photos/share") return;
  e.respondWith((async () => {
    const files = (await e.request.formData()).getAll("photos").filter((f) => typeof f !== "string" && f.size);
    const store = await caches.open("plumb-photos-shared");
    let i = 0;
    for (const f of files.slice(0, 500)) {
      await store.put(`/photos/shared-${Date.now()}-${i++}`, new Response(f, { headers: { "Content-Type": f.type || "application/octet-stream", "X-Name": encodeURIComponent(f.name) } }));
    }
    return Response.redirect("/photos/?shared=1", 303);
  })());
});
