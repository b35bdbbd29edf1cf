// The comparison page: the chosen samplers' kept errors over evaluations, as an SVG and as a table. Nothing is fetched.
(() => {
  const kept = JSON.parse(document.getElementById("compare-data").textContent);
  const form = document.getElementById("compare");
  const [target, grid] = [form.elements.target, form.elements.grid];
  const [names, picture, rows, status] = ["names", "picture", "rows", "status"].map((id) => document.getElementById(`compare-${id}`));
  const COLOURS = kept.colours;
  const SHAPES = ["M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-4,-4h8v8h-8z", "M0,-5l5,9h-10z", "M0,-5l5,5l-5,5l-5,-5z"];
  const SVG = "http://www.w3.org/2000/svg";
  const short = (value) => (value >= 0.001 && value < 1000 ? String(Number(value.toPrecision(3))) : value.toExponential(1));

  function make(name, attributes, parent, text) {
    const node = document.createElementNS(SVG, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return parent.appendChild(node);
  }

  const setting = () => kept.settings.find((s) => s.target === target.value && s.grid === grid.value);
  const chosen = () => [...names.querySelectorAll("input:checked")].map((box) => box.value);

  function options(select, values, wanted) {
    select.replaceChildren(...values.map((value) => new Option(value, value, false, value === wanted)));
  }

  // Samplers of the setting, those of before still chosen.
  function list(wanted) {
    const known = Object.keys(setting().series);
    const some = wanted.filter((name) => known.includes(name));
    const checked = some.length ? some : known.slice(0, 3);
    names.replaceChildren(...known.map((name) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name, checked: checked.includes(name) });
      label.append(box, ` ${name}`);
      return label;
    }));
  }

  function draw() {
    const { series, metric } = setting();
    const shown = chosen();
    const points = shown.flatMap((name) => series[name].flatMap(([n, e, p]) => [[n, e], ...(p ? [[n, p]] : [])]));
    picture.replaceChildren();
    rows.replaceChildren();
    status.textContent = shown.length ? `${shown.length} samplers on ${target.value}, ${grid.value}. ${best(series, shown)}` : "No sampler is chosen.";
    if (!points.length) return;
    const width = Math.max(280, picture.clientWidth), height = Math.min(460, Math.max(300, 0.62 * width));
    const [left, right, top, bottom] = [58, 12, 10, 46];
    const ends = (values) => [Math.log10(Math.min(...values)) - 0.08, Math.log10(Math.max(...values)) + 0.08];
    const [x0, x1] = ends(points.map((p) => p[0])), [y0, y1] = ends(points.map((p) => p[1]));
    const x = (n) => left + ((Math.log10(n) - x0) / (x1 - x0)) * (width - left - right);
    const y = (e) => top + ((y1 - Math.log10(e)) / (y1 - y0)) * (height - top - bottom);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric} over evaluations, both logarithmic: the table below has every number` }, picture);
    const text = { fill: "currentColor", "font-size": 13 };
    for (let k = Math.ceil(y0); k <= y1; k += Math.ceil((y1 - y0) / 8)) {
      make("path", { d: `M${left},${y(10 ** k)}H${width - right}`, stroke: "currentColor", opacity: 0.2 }, svg);
      const tick = make("text", { ...text, x: left - 6, y: y(10 ** k) + 4, "text-anchor": "end" }, svg, "10");
      make("tspan", { dy: -5, "font-size": 10 }, tick, String(k).replace("-", "−"));
    }
    const counts = [...new Set(points.map((p) => p[0]))].sort((a, b) => a - b);
    let last = -Infinity;
    for (const n of counts) {
      if (x(n) - last < 34) continue;
      last = x(n);
      make("path", { d: `M${x(n)},${height - bottom}v5`, stroke: "currentColor" }, svg);
      make("text", { ...text, x: x(n), y: height - bottom + 19, "text-anchor": "middle" }, svg, n);
    }
    make("path", { d: `M${left},${top}V${height - bottom}H${width - right}`, stroke: "currentColor", fill: "none" }, svg);
    make("text", { ...text, x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, svg, "evaluations of the model");
    make("text", { ...text, transform: `translate(14,${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg, metric);
    shown.forEach((name, i) => {
      const look = { stroke: COLOURS[i % COLOURS.length], "stroke-width": 1.6, fill: "none" };
      const line = (those, dashes) => those.length > 1 && make("path", { ...look, "stroke-dasharray": dashes, d: `M${those.map((p) => p.map((v) => v.toFixed(1)).join()).join("L")}` }, svg);
      const predicted = series[name].filter((p) => p[2]).map((p) => [x(p[0]), y(p[2])]);
      line(predicted, "none");
      if (!predicted.length) line(series[name].map((p) => [x(p[0]), y(p[1])]), "2 4");
      for (const [n, e] of series[name]) {
        const mark = make("path", { d: SHAPES[i % SHAPES.length], transform: `translate(${x(n)},${y(e)})`, fill: look.stroke }, svg);
        make("title", {}, mark, `${name}: ${short(e)} at ${n} evaluations`);
      }
      row(name, series[name], look.stroke, SHAPES[i % SHAPES.length]);
    });
    location.replace(`#${new URLSearchParams({ target: target.value, grid: grid.value, methods: shown.join() })}`);
  }

  function best(series, shown) {
    return kept.budgets.map((budget) => {
      const reached = shown.flatMap((name) => series[name].filter((p) => p[0] <= budget).map((p) => [p[1], name]));
      const least = reached.sort((a, b) => a[0] - b[0])[0];
      const long = shown.some((name) => series[name].some((p) => p[0] <= budget && 2 * p[0] > budget));
      return least && long ? `With at most ${budget} evaluations the least error is ${short(least[0])}, of ${least[1]}.` : "";
    }).join(" ");
  }

  function row(name, values, colour, shape) {
    const line = rows.appendChild(document.createElement("tr"));
    const head = line.appendChild(document.createElement("th"));
    head.scope = "row";
    const key = make("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, head);
    make("path", { d: shape, fill: colour }, key);
    const link = head.appendChild(document.createElement("a"));
    link.href = kept.pages[name];
    link.textContent = name;
    for (const text of [values.map((p) => `${p[0]}: ${short(p[1])}`), values.map((p) => (p[2] ? `${p[0]}: ${short(p[2])}` : "")).filter(Boolean)])
      line.appendChild(document.createElement("td")).textContent = text.join(", ") || "-";
  }

  function start() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const known = kept.settings.find((s) => s.target === asked.get("target")) || kept.settings[0];
    options(target, [...new Set(kept.settings.map((s) => s.target))], known.target);
    grids(asked.get("grid"));
    list((asked.get("methods") || kept.first.join()).split(","));
    draw();
  }

  function grids(wanted) {
    options(grid, kept.settings.filter((s) => s.target === target.value).map((s) => s.grid), wanted);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    const before = chosen();
    if (event.target === target) grids(grid.value);
    if (event.target !== names && !names.contains(event.target)) list(before);
    draw();
  });
  document.getElementById("compare-none").addEventListener("click", () => {
    for (const box of names.querySelectorAll("input")) box.checked = false;
    draw();
  });
  addEventListener("resize", draw);
  start();
})();
