// Shows <time datetime="..."> in the reader's own zone and language. The title,
// written by the server, keeps UTC for hovering. <time data-ago> counts on.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const steps = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(at) {
  const s = Math.round((at - Date.now()) / 1000);
  if (Math.abs(s) < 5) return words.format(0, "second");
  const [unit, size] = steps.find(([, size]) => Math.abs(s) >= size);
  return words.format(Math.trunc(s / size), unit);
}

function show(el) {
  const at = new Date(el.dateTime);
  if (Number.isNaN(at.getTime()) || !el.dateTime.includes("T")) return; // a plain date has no zone
  el.textContent = "ago" in el.dataset ? ago(at) : exact.format(at);
}

export function localTimes(root) {
  root.querySelectorAll("time[datetime]").forEach(show);
}

setInterval(() => document.querySelectorAll("time[data-ago]").forEach(show), 10_000);
