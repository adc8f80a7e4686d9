// The console's script: each part looks for its own marks in the page and does
// nothing without them. Every page works, less comfortably, without any of it.
import { localTimes } from "./times.js";
import { tables } from "./tables.js";
import { progress } from "./progress.js";
import { sliders } from "./sliders.js";

function enliven(root) {
  for (const part of [localTimes, tables, progress, sliders]) part(root);
}

enliven(document);
// What htmx puts into the page is enlivened too.
document.addEventListener("htmx:load", (e) => { if (e.target !== document.body) enliven(e.target); });
// So is a live page that fetched itself anew (see console/static/shell.js).
document.addEventListener("plumb:refreshed", () => enliven(document));
