"use strict";
// Charts and the browser over images. All names are set as text, never as markup.

const figures = JSON.parse(document.getElementById("figures").textContent);

function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const { data, layout } = figures[place.id];
  Plotly.newPlot(place, data, layout, { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]] });
}

// Charts are drawn when they come near, so that the page opens at once; all of them before it is printed.
const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  },
  { rootMargin: "800px" },
);
for (const place of document.querySelectorAll(".chart")) near.observe(place);
window.addEventListener("beforeprint", () => {
  for (const place of document.querySelectorAll(".chart")) if (!place.closest("[hidden]")) draw(place);
});

for (const choice of document.querySelectorAll(".choice")) {
  const select = choice.querySelector("select");
  const show = () => {
    for (const option of choice.querySelectorAll(".option")) option.hidden = option.dataset.name !== select.value;
  };
  select.addEventListener("change", show);
  // A browser may restore another choice when a page is loaded again.
  show();
}

function browse(data) {
  const element = (id) => document.getElementById(id);
  const shown = { image: 0, model: data.models[data.models.length - 1] };
  if (data.start) shown.model = data.start;
  const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

  function cell(row, text, tag = "td") {
    const place = document.createElement(tag);
    place.textContent = text;
    row.append(place);
    return place;
  }

  function order() {
    const key = element("sort").value.replace("-", "");
    const sign = element("sort").value.startsWith("-") ? -1 : 1;
    const indices = data.images.map((_, index) => index);
    if (key === "name") return indices;
    const score = (index) => data.images[index].scores[shown.model]?.[key] ?? null;
    // Images without the score come last.
    return indices.sort((a, b) => {
      const [first, second] = [score(a), score(b)];
      if (first === null || second === null) return (first === null) - (second === null) || a - b;
      return sign * (first - second) || a - b;
    });
  }

  function thumbnails() {
    const key = element("sort").value.replace("-", "").replace("name", "hiou");
    const buttons = order().map((index) => {
      const image = data.images[index];
      const button = document.createElement("button");
      const picture = document.createElement("img");
      picture.src = image.photo;
      picture.alt = "";
      button.type = "button";
      button.title = image.name;
      button.dataset.index = index;
      button.setAttribute("role", "option");
      button.setAttribute("aria-label", image.name);
      button.setAttribute("aria-selected", String(index === shown.image));
      button.append(picture, number(image.scores[shown.model]?.[key]));
      button.addEventListener("click", () => { shown.image = index; update(); });
      return button;
    });
    element("thumbnails").replaceChildren(...buttons);
  }

  function modelScores(image) {
    const rows = data.models.map((model) => {
      const row = document.createElement("tr");
      const label = document.createElement("label");
      const radio = document.createElement("input");
      radio.type = "radio";
      radio.name = "model";
      radio.value = model;
      radio.checked = model === shown.model;
      radio.addEventListener("change", () => { shown.model = model; thumbnails(); update(); });
      label.append(radio, ` ${model}`);
      cell(row, "", "th").append(label);
      const scores = image.scores[model];
      for (const key of ["hiou", "miou", "accuracy"]) cell(row, number(scores?.[key]));
      return row;
    });
    element("model-scores").tBodies[0].replaceChildren(...rows);
  }

  function classScores(image) {
    const scores = image.scores[shown.model]?.classes ?? {};
    const labels = Object.keys(scores).map(Number);
    labels.sort((a, b) => data.classes[b].unseen - data.classes[a].unseen || a - b);
    const rows = labels.map((label) => {
      const { name, unseen, colour } = data.classes[label];
      const row = document.createElement("tr");
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.style.background = colour;
      const head = cell(row, "", "th");
      head.append(chip, unseen ? `${name} (unseen)` : name);
      if (unseen) head.className = "unseen";
      const [pixels, iou] = scores[label];
      cell(row, pixels.toLocaleString("en"));
      cell(row, number(iou));
      return row;
    });
    element("class-scores").tBodies[0].replaceChildren(...rows);
  }

  function wipe() {
    const percent = Number(element("slider").value);
    element("truth").style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
    element("prediction").style.clipPath = `inset(0 0 0 ${percent}%)`;
    element("divider").style.left = `${percent}%`;
    for (const id of ["truth", "prediction"]) element(id).style.opacity = element("opacity").value / 100;
  }

  function update() {
    const image = data.images[shown.image];
    element("image-name").textContent = image.name;
    element("model-name").textContent = `${shown.model} ▶`;
    for (const stage of document.querySelectorAll(".stage")) stage.style.aspectRatio = `${image.size[0]} / ${image.size[1]}`;
    for (const photo of document.querySelectorAll("img.photo")) photo.src = image.photo;
    element("truth").src = image.truth;
    element("prediction").src = image.maps[shown.model];
    for (const button of element("thumbnails").children) {
      button.setAttribute("aria-selected", String(Number(button.dataset.index) === shown.image));
    }
    modelScores(image);
    classScores(image);
    wipe();
  }

  element("sort").addEventListener("change", thumbnails);
  for (const id of ["slider", "opacity"]) element(id).addEventListener("input", wipe);
  element("n-images").textContent = `${data.images.length} images`;
  shown.image = order()[0];
  thumbnails();
  update();
}

const stored = document.getElementById("browser-data");
if (stored) browse(JSON.parse(stored.textContent));
