// Follows a running job: <div data-progress="URL"> holds a <progress> and an
// element .says. The URL sends server-sent events: "progress" with {share, text}
// and "done", after which the page is loaded anew.

function follow(box) {
  if (box.dataset.ready) return;
  box.dataset.ready = "yes";
  const bar = box.querySelector("progress");
  const says = box.querySelector(".says");
  const source = new EventSource(box.dataset.progress);
  source.addEventListener("progress", (e) => {
    const { share, text } = JSON.parse(e.data);
    if (typeof share === "number") bar.value = share;
    if (text && says.textContent !== text) says.textContent = text;
  });
  source.addEventListener("done", () => {
    source.close();
    bar.value = 1;
    location.reload();
  });
  addEventListener("pagehide", () => source.close());
}

export function progress(root) {
  root.querySelectorAll("[data-progress]").forEach(follow);
}
