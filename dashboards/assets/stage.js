/* The stage of the sample page: tiles in place, colour, scale bar, cursor and ellipses.
 *
 * Plotly gives axes, pan and zoom; every tile is one of its layout images. Tiles are grey and stay in their own frame: an SVG
 * transform puts each image into the stage's frame, and an SVG filter gives limits, colours and transparency. So contrast,
 * colours and placing cost no request, and pixels keep their true outline under rotation.
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const ns = (window.dash_clientside = window.dash_clientside || {});
  let scene = null;        // what dashboards/figures/stage.py made
  let looks = {};          // layer key -> {visible, opacity, black, white, colormap}
  let owners = [];         // layer key of each drawn image, in the order of layout.images
  let marks = null;        // {point: [x, y], ellipses: [{points, dashed}]}
  let frame = 0;
  let timer = 0;

  const graph = () => document.querySelector("#stage .js-plotly-plot");
  const axes = (g) => [g._fullLayout.xaxis, g._fullLayout.yaxis];
  const isReady = (g) => g && g._fullLayout && g._fullLayout.xaxis && g._fullLayout.xaxis._length > 1;

  // --- which tiles

  const forward = ([a, b, c, d, e, f], x, y) => [a * x + c * y + e, b * x + d * y + f];

  function backward([a, b, c, d, e, f], x, y) {
    const det = a * d - b * c, u = x - e, v = y - f;
    return [(d * u - c * v) / det, (a * v - b * u) / det];
  }

  function seenBox(matrix, xs, ys) { // the view, in the layer's own frame
    const points = xs.flatMap((x) => ys.map((y) => backward(matrix, x, y)));
    const [u, v] = [points.map((p) => p[0]), points.map((p) => p[1])];
    return [Math.min(...u), Math.max(...u), Math.min(...v), Math.max(...v)];
  }

  function tilesOf(layer, xs, ys, perPixel) {
    const [a, b, c, d] = layer.matrix;
    const ownPerPixel = perPixel / Math.sqrt(Math.abs(a * d - b * c));
    const z = Math.max(0, layer.levels.findLastIndex((level) => level.dx <= 1.25 * ownPerPixel));
    const level = layer.levels[z], T = scene.tile;
    const [u0, u1, v0, v1] = seenBox(layer.matrix, xs, ys);
    const clamp = (value, size) => Math.max(0, Math.min(Math.ceil(size / T) - 1, Math.floor(value / T)));
    const outside = u1 < level.x || u0 > level.x + level.width * level.dx || v1 < level.y || v0 > level.y + level.height * level.dy;
    const found = [];
    if (outside) return found;
    const seam = layer.seeThrough ? 0 : 0.7 * ownPerPixel; // neighbours overlap by less than a screen pixel, or hairlines show
    for (let r = clamp((v0 - level.y) / level.dy, level.height); r <= clamp((v1 - level.y) / level.dy, level.height); r++) {
      for (let q = clamp((u0 - level.x) / level.dx, level.width); q <= clamp((u1 - level.x) / level.dx, level.width); q++) {
        const w = Math.min(T, level.width - q * T), h = Math.min(T, level.height - r * T);
        const more = [q * T + w < level.width ? seam : 0, r * T + h < level.height ? seam : 0];
        found.push({
          source: `/tiles/${layer.key}/${z}/${r}_${q}`, xref: "x", yref: "y", layer: "below", sizing: "stretch",
          xanchor: "left", yanchor: "top", x: level.x + q * T * level.dx, y: level.y + r * T * level.dy,
          sizex: w * level.dx + more[0], sizey: h * level.dy + more[1],
        });
      }
    }
    return found;
  }

  function refresh() {
    const g = graph();
    if (!scene || !isReady(g)) return;
    const [xa, ya] = axes(g), xs = xa.range.slice(), ys = ya.range.slice();
    const perPixel = Math.abs(xs[1] - xs[0]) / xa._length;
    const images = [];
    owners = [];
    for (const layer of scene.layers) {
      if (!looks[layer.key].visible) continue;
      for (const image of tilesOf(layer, xs, ys, perPixel)) { images.push(image); owners.push(layer.key); }
    }
    window.Plotly.relayout(g, { images, shapes: shapes(), annotations: labels(xs, ys) }).then(soon);
    scaleBar();
  }

  // --- how they look

  function svg() {
    let root = document.getElementById("stage-filters");
    if (!root) {
      root = document.createElementNS(NS, "svg");
      root.id = "stage-filters";
      root.setAttribute("width", 0);
      root.setAttribute("height", 0);
      root.setAttribute("aria-hidden", "true");
      root.style.position = "absolute";
      document.body.append(root);
    }
    return root;
  }

  function element(name, attributes, ...children) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function filter(layer) { // limits as a colour matrix, colormap as a transfer table; alpha follows the value in maps
    const look = looks[layer.key], id = `look-${layer.key}`;
    const gain = 1 / Math.max(0.02, look.white - look.black), lift = -look.black * gain;
    const stops = scene.colormaps[look.colormap].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255));
    const row = `${gain} 0 0 0 ${lift}`;
    const transfer = element("feComponentTransfer", {});
    ["R", "G", "B"].forEach((name, i) => transfer.append(
      element(`feFunc${name}`, { type: "table", tableValues: stops.map((stop) => stop[i].toFixed(4)).join(" ") })));
    if (layer.seeThrough) transfer.append(element("feFuncA", { type: "table", tableValues: "0 .75 .95 1 1" }));
    const made = element("filter", { id, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 },
      element("feColorMatrix", { type: "matrix", values: `${row} ${row} ${row} ${layer.seeThrough ? row : "0 0 0 1 0"}` }), transfer);
    const old = document.getElementById(id);
    if (old) old.replaceWith(made); else svg().append(made);
  }

  function paint() { // plotly's images carry no id of their own: their order is that of layout.images
    const g = graph();
    if (!scene || !isReady(g)) return;
    const [xa, ya] = axes(g);
    const sx = xa._length / (xa.range[1] - xa.range[0]), sy = ya._length / (ya.range[0] - ya.range[1]); // y runs downwards
    const ox = xa._offset - xa.range[0] * sx, oy = ya._offset - ya.range[1] * sy;
    const byKey = Object.fromEntries(scene.layers.map((layer) => [layer.key, layer]));
    g.querySelectorAll(".imagelayer image").forEach((image, i) => {
      const layer = byKey[owners[i]];
      if (!layer) return;
      const [a, b, c, d, e, f] = layer.matrix; // screen <- stage <- own frame <- stage's scale <- screen
      const [A, B, C, D] = [a, (b * sy) / sx, (c * sx) / sy, d];
      const E = sx * e + ox - A * ox - C * oy, F = sy * f + oy - B * ox - D * oy;
      image.setAttribute("transform", `matrix(${A} ${B} ${C} ${D} ${E} ${F})`);
      image.removeAttribute("clip-path"); // it would turn with the image; the stage itself cuts
      image.style.filter = `url(#look-${layer.key})`;
      image.style.opacity = looks[layer.key].opacity;
      image.style.imageRendering = layer.seeThrough || sx * layer.levels[0].dx > 3 ? "pixelated" : "auto";
    });
  }

  function soon() { cancelAnimationFrame(frame); frame = requestAnimationFrame(paint); }

  // --- boxes, cursor, scale bar

  function line(points, colour, width, dash, closed) {
    const path = "M" + points.map((p) => p.join(",")).join("L") + (closed ? "Z" : "");
    return [["rgba(0,0,0,.6)", width + 2.5, "solid"], [colour, width, dash || "solid"]].map(([color, w, style]) => (
      { type: "path", path, xref: "x", yref: "y", line: { color, width: w, dash: style }, fillcolor: "rgba(0,0,0,0)" }));
  }

  function shapes() {
    const g = graph(), [xa] = axes(g), perPixel = Math.abs(xa.range[1] - xa.range[0]) / xa._length;
    const found = scene.fields.flatMap((field) => line(field.corners, field.colour, 1.5, "solid", true));
    if (marks) {
      const [x, y] = marks.point, arm = 11 * perPixel, gap = 4 * perPixel;
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        found.push(...line([[x + dx * gap, y + dy * gap], [x + dx * arm, y + dy * arm]], scene.cursor, 1.6));
      }
      for (const ellipse of marks.ellipses || []) found.push(...line(ellipse.points, scene.cursor, 1.4, ellipse.dashed ? "4px,3px" : "solid", true));
    }
    return found;
  }

  function labels(xs, ys) { // pinned to the part of the box that is in view
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)], [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    const taken = [];
    return scene.fields.flatMap((field) => {
      const u = field.corners.map((p) => p[0]), v = field.corners.map((p) => p[1]);
      if (Math.max(...u) < x0 || Math.min(...u) > x1 || Math.max(...v) < y0 || Math.min(...v) > y1) return [];
      const topmost = field.corners.reduce((best, p) => (p[1] < best[1] || (p[1] === best[1] && p[0] < best[0]) ? p : best));
      let [x, y] = [Math.max(topmost[0], x0 + 0.012 * (x1 - x0)), Math.max(topmost[1], y0 + 0.035 * (y1 - y0))];
      while (taken.some((t) => Math.abs(t[0] - x) < 0.14 * (x1 - x0) && Math.abs(t[1] - y) < 0.024 * (y1 - y0))) y += 0.025 * (y1 - y0);
      taken.push([x, y]);
      return [{ x, y, xref: "x", yref: "y", text: `<b>${escaped(field.label)}</b>`, showarrow: false, xanchor: "left", yanchor: "bottom",
        bgcolor: "rgba(10,12,15,.66)", borderpad: 1, font: { color: field.colour, size: 11 } }];
    });
  }

  const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

  function scaleBar() {
    const g = graph(), bar = document.getElementById("scale-bar"), text = document.getElementById("scale-text");
    if (!bar || !isReady(g)) return;
    const [xa] = axes(g), perPixel = Math.abs(xa.range[1] - xa.range[0]) / xa._length;
    const target = 130 * perPixel, power = 10 ** Math.floor(Math.log10(target));
    const size = power * [5, 2, 1].find((m) => m * power <= target);
    bar.style.width = `${size / perPixel}px`;
    const round = (value) => String(+value.toPrecision(3));
    if (scene.unit !== "nm") text.textContent = `${round(size)} px, not calibrated`;
    else text.textContent = size >= 1e6 ? `${round(size / 1e6)} mm` : size >= 1e3 ? `${round(size / 1e3)} µm` : size >= 1 ? `${round(size)} nm` : `${round(size * 10)} Å`;
  }

  // --- events

  function bind(g) {
    if (g.dataset.stage) return;
    g.dataset.stage = "bound";
    g.on("plotly_afterplot", soon);
    g.on("plotly_relayouting", () => { paint(); scaleBar(); });
    g.on("plotly_relayout", (change) => {
      if (Object.keys(change).some((key) => /^[xy]axis/.test(key) || key === "autosize")) { clearTimeout(timer); timer = setTimeout(refresh, 60); }
    });
    new ResizeObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => { if (isReady(graph())) show(rangesNow(graph())); }, 120); // the page may be left by then
    }).observe(g);
  }

  const rangesNow = (g) => { const [xa, ya] = axes(g); return { x0: xa.range[0], x1: xa.range[1], y0: ya.range[1], y1: ya.range[0] }; };

  function show(view) { // the view grows along one side so that scales stay equal
    const g = graph();
    if (!isReady(g)) return;
    const [xa, ya] = axes(g), cx = (view.x0 + view.x1) / 2, cy = (view.y0 + view.y1) / 2;
    const perPixel = Math.max(Math.abs(view.x1 - view.x0) / xa._length, Math.abs(view.y1 - view.y0) / ya._length);
    const hx = (perPixel * xa._length) / 2, hy = (perPixel * ya._length) / 2;
    window.Plotly.relayout(g, { "xaxis.range": [cx - hx, cx + hx], "yaxis.range": [cy + hy, cy - hy] }).then(refresh);
  }

  function zoom(factor) {
    const g = graph();
    if (!isReady(g)) return;
    const now = rangesNow(g), cx = (now.x0 + now.x1) / 2, cy = (now.y0 + now.y1) / 2;
    const hx = ((now.x1 - now.x0) / 2) * factor, hy = ((now.y1 - now.y0) / 2) * factor;
    show({ x0: cx - hx, x1: cx + hx, y0: cy - hy, y1: cy + hy });
  }

  function lookFrom(row) { // the controls of one layer are the truth about how it looks
    const key = row.dataset.layer, layer = scene && scene.layers.find((l) => l.key === key);
    if (!layer) return;
    const value = (name) => Number(row.querySelector(`.${name} input`).value) / 100;
    looks[key] = { ...looks[key], opacity: value("opacity"), black: value("black"), white: Math.max(value("white"), value("black") + 0.02) };
    filter(layer);
    paint();
  }

  document.addEventListener("input", (event) => {
    const row = event.target.closest && event.target.closest("[data-layer]");
    if (row) lookFrom(row);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button[data-act]");
    if (!button || !scene) return;
    const act = button.dataset.act, row = button.closest("[data-layer]");
    if (act === "zoom-in") zoom(0.5);
    else if (act === "zoom-out") zoom(2);
    else if (act === "fit") show(scene.view);
    else if (act === "eye" && row) {
      const look = looks[row.dataset.layer];
      look.visible = !look.visible;
      row.classList.toggle("off", !look.visible);
      button.setAttribute("aria-pressed", String(look.visible));
      refresh();
    } else if (act === "adjust" && row) {
      button.setAttribute("aria-expanded", String(row.classList.toggle("open")));
    } else if (act === "colormap" && row) {
      const names = Object.keys(scene.colormaps), look = looks[row.dataset.layer];
      look.colormap = names[(names.indexOf(look.colormap) + 1) % names.length];
      button.style.background = `linear-gradient(90deg, ${scene.colormaps[look.colormap].join(",")})`;
      button.setAttribute("aria-label", `Colours: ${look.colormap}`);
      button.title = look.colormap;
      filter(scene.layers.find((l) => l.key === row.dataset.layer));
    }
  });

  document.addEventListener("keydown", (event) => { // the stage by keyboard: arrows pan, + and - zoom, Enter asks at the centre
    if (!event.target.closest || !event.target.closest("#stage-focus") || !isReady(graph())) return;
    const g = graph(), now = rangesNow(g), dx = (now.x1 - now.x0) / 10, dy = (now.y1 - now.y0) / 10;
    const move = { ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, -dy], ArrowDown: [0, dy] }[event.key];
    if (move) show({ x0: now.x0 + move[0], x1: now.x1 + move[0], y0: now.y0 + move[1], y1: now.y1 + move[1] });
    else if (event.key === "+") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "Enter") ns.set_props("stage", { clickData: { points: [], xvals: [(now.x0 + now.x1) / 2], yvals: [(now.y0 + now.y1) / 2] } });
    else return;
    event.preventDefault();
  });

  ns.stage = {
    open(data) {
      scene = data;
      marks = null;
      looks = {};
      svg().replaceChildren();
      for (const layer of scene.layers) {
        looks[layer.key] = { visible: layer.visible, opacity: 1, black: 0, white: 1, colormap: layer.colormap };
        filter(layer);
      }
      const start = () => {
        const g = graph();
        if (!isReady(g) || !window.Plotly) { setTimeout(start, 40); return; }
        bind(g);
        document.querySelectorAll("[data-layer]").forEach(lookFrom);
        show(scene.view);
      };
      start();
      return ns.no_update;
    },
    mark(data) {
      marks = data || null;
      const hint = document.querySelector(".stage .hint");
      if (hint && marks) hint.hidden = true;
      refresh();
      return ns.no_update;
    },
  };
})();
