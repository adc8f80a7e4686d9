// Puts sliders beside the text inputs of a plan. The text stays what is sent and
// what counts ("5000 to 20000"); a slider rewrites it and lets the form know.
// <div class="field" data-low="5000" data-high="20000" data-min="500"
// data-max="200000" data-log> is what the server says about an input; data-high
// is missing for a plain number.

const steps = 400;

function scale(field) {
  const min = Number(field.dataset.min), max = Number(field.dataset.max);
  if ("log" in field.dataset) {
    const a = Math.log(min), b = Math.log(max);
    return { at: (v) => Math.round((steps * (Math.log(Math.max(v, min)) - a)) / (b - a)), value: (p) => Math.exp(a + ((b - a) * p) / steps) };
  }
  return { at: (v) => Math.round((steps * (v - min)) / (max - min)), value: (p) => min + ((max - min) * p) / steps };
}

// plain writes three significant digits without an exponent, as the server reads them.
function plain(v) {
  const n = Number(v.toPrecision(3));
  return Math.abs(n) >= 1e-6 || n === 0 ? n.toLocaleString("en", { useGrouping: false, maximumSignificantDigits: 3 }) : String(n);
}

function one(field) {
  const input = field.querySelector("input[type=text]");
  if (field.dataset.ready || !input) return;
  field.dataset.ready = "yes";
  const name = field.querySelector("label").textContent.trim();
  const { at, value } = scale(field);
  const ends = "high" in field.dataset ? ["low", "high"] : ["low"];
  const box = document.createElement("div");
  box.className = "sliders";
  const sliders = ends.map((end) => {
    const word = document.createElement("span");
    word.textContent = ends.length > 1 ? end : "value";
    word.ariaHidden = "true";
    const slider = document.createElement("input");
    slider.type = "range";
    slider.max = steps;
    slider.value = at(Number(field.dataset[end]));
    slider.setAttribute("aria-label", ends.length > 1 ? `${name}, ${end} end` : name);
    slider.setAttribute("aria-valuetext", plain(Number(field.dataset[end])));
    box.append(word, slider);
    return slider;
  });
  const exact = ends.map((end) => Number(field.dataset[end]));
  sliders.forEach((slider, i) => slider.addEventListener("input", () => {
    exact[i] = value(Number(slider.value));
    const other = 1 - i; // the ends push each other along; they never cross
    if (ends.length > 1 && exact[0] > exact[1]) {
      exact[other] = exact[i];
      sliders[other].value = slider.value;
    }
    sliders.forEach((s, k) => s.setAttribute("aria-valuetext", plain(exact[k])));
    const unit = input.dataset.unit ? ` ${input.dataset.unit}` : "";
    input.value = exact.map(plain).join(" to ") + unit;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }));
  input.after(box);
}

// lean leaves out of what a form sends all that stands at its default, so that
// the address holds the changes and nothing else; and sends the form whole when
// a control changes what the others show.
function lean(form) {
  if (form.dataset.ready) return;
  form.dataset.ready = "yes";
  form.addEventListener("formdata", (e) => {
    for (const el of form.elements) {
      if (el.name && (el.value === "" || el.value === el.dataset.default)) e.formData.delete(el.name);
    }
  });
  // Beside the pictures there is room for the inputs; above them, on a phone, there is not.
  const first = form.querySelector("details");
  if (first && matchMedia("(min-width: 62rem)").matches) first.open = true;
  form.querySelectorAll("[data-reload]").forEach((el) => el.addEventListener("input", (e) => {
    e.stopPropagation(); // from htmx, which would fetch the result alone
    form.submit();
  }));
}

export function sliders(root) {
  root.querySelectorAll(".inputs .field[data-low]").forEach(one);
  root.querySelectorAll("form#plan").forEach(lean);
}
