// What a page does. `data`: title, w, h (size of the picture in its own pixels), note, items [{n name, l lines, b box,
// o round?, g outline [x, y, ...]?, c colour?, q quiet (found, not hovered)?, v [first, end] vertices?, p priority of a label}], levels of a
// pyramid, and columns of vertices (base64): x, y uint16 (65535 = w or h), s item uint16, t tile uint16, k row of `kinds` uint16;
// first uint32 and ex, ey uint16: the edges of vertex i end at places first[i]..first[i + 1].
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const view = document.getElementById("view"), marks = document.getElementById("marks"), pen = marks.getContext("2d");
  const svg = view.querySelector("svg"), tip = document.getElementById("tip");
  const find = document.getElementById("find"), found = document.getElementById("found");
  const css = getComputedStyle(document.documentElement), colour = name => css.getPropertyValue("--" + name).trim();
  const items = data.items, levels = data.levels || [];
  if (data.note) {
    const head = document.getElementById("head"), title = document.createElement("b"), note = document.createElement("span");
    title.textContent = data.title + "\n"; note.textContent = "\n" + data.note; head.append(title, note);
    for (const [shade, words] of data.legend || []) {
      const row = document.createElement("div"), spot = document.createElement("i"); spot.style.background = shade;
      row.append(spot, words); document.getElementById("legend").append(row);
    }
  }
  const column = (text, Kind) => {
    if (!text) return null;
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Kind(bytes.buffer);
  };
  const vx = column(data.x, Uint16Array), vy = column(data.y, Uint16Array), vs = column(data.s, Uint16Array);
  const vt = column(data.t, Uint16Array), vk = column(data.k, Uint16Array);
  const first = column(data.first, Uint32Array), ex = column(data.ex, Uint16Array), ey = column(data.ey, Uint16Array);
  const ux = data.w / 65535, uy = data.h / 65535;
  // a grid over the vertices, to find those near a place
  const GRID = 192;
  let gridFirst = null, gridOrder = null;
  if (vx) {
    gridFirst = new Uint32Array(GRID * GRID + 1); gridOrder = new Uint32Array(vx.length);
    const cell = i => Math.min(GRID - 1, (vy[i] * GRID) >> 16) * GRID + Math.min(GRID - 1, (vx[i] * GRID) >> 16);
    for (let i = 0; i < vx.length; i++) gridFirst[cell(i) + 1]++;
    for (let i = 0; i < GRID * GRID; i++) gridFirst[i + 1] += gridFirst[i];
    const at = gridFirst.slice();
    for (let i = 0; i < vx.length; i++) gridOrder[at[cell(i)]++] = i;
  }
  const near = (x0, y0, x1, y1, visit) => {
    const c = v => Math.max(0, Math.min(GRID - 1, Math.floor(v)));
    for (let r = c(y0 / data.h * GRID); r <= c(y1 / data.h * GRID); r++)
      for (let q = c(x0 / data.w * GRID); q <= c(x1 / data.w * GRID); q++)
        for (let n = gridFirst[r * GRID + q]; n < gridFirst[r * GRID + q + 1]; n++)
          if (visit(gridOrder[n]) === false) return;
  };

  // the view: picture pixel (x, y) is at (x * k + px, y * k + py)
  let k = 1, px = 0, py = 0, wide = 0, high = 0, ratio = 1;
  let hover = -1, vertex = -1, chosen = -1, matches = [], asked = false, least = 0.05;
  const draw = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; paint(); }); } };
  const fitting = (x0, y0, x1, y1, room) => {
    const scale = Math.min(wide / Math.max(x1 - x0, 1e-6), high / Math.max(y1 - y0, 1e-6)) * room;
    return [scale, wide / 2 - (x0 + x1) / 2 * scale, high / 2 - (y0 + y1) / 2 * scale];
  };
  const most = () => levels.length ? Math.max(8, 40 * data.w / 4000) : 12;
  let flight = 0;
  const fly = (goal, quick) => {
    cancelAnimationFrame(flight);
    if (quick || matchMedia("(prefers-reduced-motion: reduce)").matches) { [k, px, py] = goal; draw(); return; }
    const begin = performance.now(), cx0 = (wide / 2 - px) / k, cy0 = (high / 2 - py) / k, k0 = k;
    const cx1 = (wide / 2 - goal[1]) / goal[0], cy1 = (high / 2 - goal[2]) / goal[0];
    const step = now => {
      const a = Math.min(1, (now - begin) / 420), e = a * a * (3 - 2 * a);
      k = k0 * Math.pow(goal[0] / k0, e);
      const share = goal[0] === k0 ? e : (1 / k - 1 / k0) / (1 / goal[0] - 1 / k0);
      px = wide / 2 - (cx0 + (cx1 - cx0) * share) * k; py = high / 2 - (cy0 + (cy1 - cy0) * share) * k;
      paint();
      if (a < 1) flight = requestAnimationFrame(step); else { [k, px, py] = goal; paint(); }
    };
    flight = requestAnimationFrame(step);
  };
  const all = quick => { chosen = -1; fly(fitting(0, 0, data.w, data.h, 1), quick); tell(); };
  const zoom = (factor, x, y) => {
    cancelAnimationFrame(flight);
    const goal = Math.max(least, Math.min(most(), k * factor)), f = goal / k;
    px = x - (x - px) * f; py = y - (y - py) * f; k = goal; draw();
  };
  const focus = (i, quick) => {
    chosen = i; const b = items[i].b, r = items[i].q ? 0.45 : 0.6, goal = fitting(b[0], b[1], b[2], b[3], r);
    const limit = levels.length ? most() : 3;
    if (goal[0] > limit) { goal[1] = wide / 2 - (b[0] + b[2]) / 2 * limit; goal[2] = high / 2 - (b[1] + b[3]) / 2 * limit; goal[0] = limit; }
    fly(goal, quick); tell();
  };
  const tell = () => { try { history.replaceState(null, "", chosen >= 0 ? "#" + encodeURIComponent(items[chosen].n) : "#"); } catch (e) { /* file pages of some browsers */ } };

  // raster tiles, decoded when first seen
  const images = new Map();
  const tileOf = (level, n) => {
    const key = level * 65536 + n;
    let image = images.get(key);
    if (!image) { image = new Image(); image.onload = draw; image.src = "data:image/webp;base64," + levels[level].t[n]; images.set(key, image); }
    return image.complete && image.naturalWidth ? image : null;
  };
  const paintLevel = level => {
    const L = levels[level], unit = data.w / L.w, size = data.tile * unit;
    const q0 = Math.max(0, Math.floor(-px / k / size)), q1 = Math.min(L.c - 1, Math.floor((wide - px) / k / size));
    const rows = L.t.length / L.c, r0 = Math.max(0, Math.floor(-py / k / size)), r1 = Math.min(rows - 1, Math.floor((high - py) / k / size));
    for (let r = r0; r <= r1; r++) for (let q = q0; q <= q1; q++) {
      const image = tileOf(level, r * L.c + q);
      if (image) pen.drawImage(image, q * size * k + px, r * size * k + py, image.naturalWidth * unit * k + 0.4, image.naturalHeight * unit * k + 0.4);
    }
  };
  const outline = (i, width, shade) => {
    const b = items[i].b, x = b[0] * k + px, y = b[1] * k + py, w = (b[2] - b[0]) * k, h = (b[3] - b[1]) * k;
    pen.strokeStyle = shade; pen.lineWidth = width; pen.beginPath();
    const g = items[i].g;
    if (g) { for (let n = 0; n < g.length; n += 2) pen.lineTo(g[n] * k + px, g[n + 1] * k + py); pen.closePath(); }
    else if (items[i].o) pen.ellipse(x + w / 2, y + h / 2, w / 2 + 2, h / 2 + 2, 0, 0, 7); else pen.rect(x - 2, y - 2, w + 4, h + 4);
    pen.stroke();
  };
  const dotsOf = (i, shade) => {
    const v = items[i].v; if (!v || !vx) return false;
    const r = Math.max(1.2, (data.dot || 1) * k * 1.1), step = Math.max(1, Math.floor((v[1] - v[0]) / 20000));
    pen.fillStyle = shade; pen.beginPath();
    for (let n = v[0]; n < v[1]; n += step) { const x = vx[n] * ux * k + px, y = vy[n] * uy * k + py; pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); }
    pen.fill(); return true;
  };
  const paint = () => {
    pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, wide, high);
    if (svg) svg.setAttribute("viewBox", [-px / k, -py / k, wide / k, high / k].join(" "));
    if (levels.length) {
      let level = levels.findIndex(L => L.w / data.w >= k * ratio * 0.75);
      if (level < 0) level = levels.length - 1;
      pen.imageSmoothingQuality = "high";
      paintLevel(0); if (level > 0) paintLevel(level - 1); if (level) paintLevel(level);
    }
    if (vx && k > (data.sharp || 2)) paintVertices();
    for (const i of matches) if (i !== chosen && !items[i].q) outline(i, 1.5, "#ffb03b");
    if (chosen >= 0 && !(items[chosen].q && dotsOf(chosen, "#ffffff"))) outline(chosen, 2.5, "#ffb03b");
    if (hover >= 0 && hover !== chosen && vertex < 0) outline(hover, 1.5, colour("faint"));
    if (vertex >= 0) paintEdges(vertex);
    if (levels.length) paintLabels();
  };
  const paintVertices = () => {
    const x0 = -px / k, y0 = -py / k, x1 = (wide - px) / k, y1 = (high - py) / k, r = Math.max(1.5, (data.dot || 1) * k * 0.8);
    let seen = 0;
    near(x0, y0, x1, y1, i => {
      if (++seen > 9000) return false;
      const x = vx[i] * ux * k + px, y = vy[i] * uy * k + py;
      pen.fillStyle = data.kinds[vk[i]]; pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.fill();
    });
  };
  const paintEdges = i => {
    const x = vx[i] * ux * k + px, y = vy[i] * uy * k + py;
    if (first) {
      pen.strokeStyle = colour("text"); pen.globalAlpha = 0.75; pen.lineWidth = 1; pen.beginPath();
      for (let e = first[i]; e < Math.min(first[i + 1], first[i] + 4000); e++) { pen.moveTo(x, y); pen.lineTo(ex[e] * ux * k + px, ey[e] * uy * k + py); }
      pen.stroke(); pen.globalAlpha = 1;
    }
    pen.strokeStyle = "#ffb03b"; pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, Math.max(5, (data.dot || 1) * k * 1.3), 0, 7); pen.stroke();
  };
  const paintLabels = () => {
    const taken = [];
    const order = items.map((_, i) => i).filter(i => items[i].p !== undefined).sort((a, b) => items[b].p - items[a].p);
    for (const i of order) {
      const it = items[i], b = it.b, w = (b[2] - b[0]) * k;
      if (it.q ? w < 70 || k < (data.near || 1) : w < 16) continue;
      const size = it.q ? 12 : Math.max(11, Math.min(20, w / 9)), x = (b[0] + b[2]) / 2 * k + px;
      const y = it.q ? (b[1] + b[3]) / 2 * k + py : Math.max(b[1] * k + py - 6, Math.min(size + 60, b[3] * k + py - 8));
      if (x < -100 || x > wide + 100 || y < -20 || y > high + 20) continue;
      pen.font = (it.q ? "" : "bold ") + size + "px Helvetica, Arial, sans-serif";
      const long = pen.measureText(it.s || it.n).width, box = [x - long / 2 - 3, y - size, x + long / 2 + 3, y + 4];
      if (taken.some(t => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
      taken.push(box);
      pen.textAlign = "center"; pen.lineJoin = "round"; pen.lineWidth = 4; pen.strokeStyle = colour("ground"); pen.strokeText(it.s || it.n, x, y);
      pen.fillStyle = it.c || colour("text"); pen.fillText(it.s || it.n, x, y);
    }
  };

  const within = (g, x, y) => {
    let inside = false;
    for (let i = 0, j = g.length - 2; i < g.length; j = i, i += 2)
      if ((g[i + 1] > y) !== (g[j + 1] > y) && x < (g[j] - g[i]) * (y - g[i + 1]) / (g[j + 1] - g[i + 1]) + g[i]) inside = !inside;
    return inside;
  };
  // what is under the pointer: the smallest item, and the nearest vertex where they can be told apart
  const under = (sx, sy) => {
    const x = (sx - px) / k, y = (sy - py) / k; let best = -1, least = Infinity;
    items.forEach((it, i) => {
      const b = it.b; if (it.q || x < b[0] || x > b[2] || y < b[1] || y > b[3]) return;
      if (it.o && Math.hypot((x - (b[0] + b[2]) / 2) / (b[2] - b[0]), (y - (b[1] + b[3]) / 2) / (b[3] - b[1])) > 0.5) return;
      if (it.g && !within(it.g, x, y)) return;
      const area = (b[2] - b[0]) * (b[3] - b[1]); if (area < least) { least = area; best = i; }
    });
    let closest = -1;
    if (vx) {
      const reach = Math.max(5, (data.dot || 1) * k * 1.4) / k; let far = reach;
      near(x - reach, y - reach, x + reach, y + reach, i => { const d = Math.hypot(vx[i] * ux - x, vy[i] * uy - y); if (d < far) { far = d; closest = i; } });
    }
    return [best, closest];
  };
  const show = (sx, sy) => {
    const [i, v] = under(sx, sy);
    if (i !== hover || v !== vertex) { hover = i; vertex = v; draw(); }
    if (i < 0 && v < 0) { tip.style.display = "none"; return; }
    const it = v >= 0 ? items[vs[v]] : items[i]; tip.textContent = "";
    const name = document.createElement("b"), rest = document.createElement("span");
    name.textContent = it.n; let lines = it.l;
    if (v >= 0) {
      const edges = first ? ", " + (first[v + 1] - first[v]).toLocaleString("en") + " windows of data" : "";
      lines = ["a vertex on tile " + vt[v] + edges, "of the compute set with", ...it.l];
    }
    rest.textContent = lines.length ? "\n" + lines.join("\n") : ""; tip.append(name, rest); tip.style.display = "block";
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(sx + 16, wide - w - 4)) + "px"; tip.style.top = Math.max(4, sy + 18 + h > high ? sy - h - 12 : sy + 18) + "px";
  };

  const pointers = new Map(); let moved = 0, spread = 0;
  view.addEventListener("pointerdown", e => { view.setPointerCapture(e.pointerId); pointers.set(e.pointerId, [e.clientX, e.clientY]); moved = 0; spread = 0; view.classList.add("drag"); cancelAnimationFrame(flight); });
  view.addEventListener("pointermove", e => {
    const last = pointers.get(e.pointerId);
    if (!last) { show(e.clientX, e.clientY); return; }
    pointers.set(e.pointerId, [e.clientX, e.clientY]);
    if (pointers.size === 1) { px += e.clientX - last[0]; py += e.clientY - last[1]; moved += Math.abs(e.clientX - last[0]) + Math.abs(e.clientY - last[1]); tip.style.display = "none"; draw(); }
    else if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], d = Math.hypot(a[0] - b[0], a[1] - b[1]); moved += 10;
      if (spread) zoom(d / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2); spread = d;
    }
  });
  const release = e => {
    const alone = pointers.size === 1; pointers.delete(e.pointerId); spread = 0; view.classList.remove("drag");
    if (e.type === "pointerup" && alone && moved < 4) { const [i] = under(e.clientX, e.clientY); if (i >= 0) focus(i); show(e.clientX, e.clientY); }
  };
  view.addEventListener("pointerup", release); view.addEventListener("pointercancel", release);
  view.addEventListener("pointerleave", () => { tip.style.display = "none"; hover = vertex = -1; draw(); });
  view.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), e.clientX, e.clientY); show(e.clientX, e.clientY); }, { passive: false });
  view.addEventListener("dblclick", e => zoom(2, e.clientX, e.clientY));
  document.getElementById("more").onclick = () => zoom(1.6, wide / 2, high / 2);
  document.getElementById("less").onclick = () => zoom(1 / 1.6, wide / 2, high / 2);
  document.getElementById("all").onclick = () => all();

  let picked = 0;
  const search = () => {
    const text = find.value.trim().toLowerCase(); found.textContent = ""; picked = 0; matches = [];
    if (text) {
      const rank = i => { const n = items[i].n.toLowerCase(); return n === text ? 0 : n.startsWith(text) ? 1 : 2; };
      matches = items.map((_, i) => i).filter(i => items[i].n.toLowerCase().includes(text)).sort((a, b) => rank(a) - rank(b) || a - b);
      matches.slice(0, 40).forEach((i, n) => {
        const row = document.createElement("div"); row.textContent = items[i].n; row.title = items[i].n; row.className = n ? "" : "on";
        row.onclick = () => { focus(i); found.textContent = ""; }; found.append(row);
      });
      const count = document.createElement("div"), small = document.createElement("small");
      small.textContent = matches.length ? matches.length.toLocaleString("en") + " found" : "nothing has that name"; count.append(small); found.append(count);
    }
    draw();
  };
  find.addEventListener("input", search);
  find.addEventListener("keydown", e => {
    e.stopPropagation();
    if (e.key === "Enter" && matches.length) { focus(matches[picked]); found.textContent = ""; }
    else if (e.key === "Escape") { find.value = ""; search(); view.focus(); }
    else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      const count = Math.min(matches.length, 40); if (!count) return; e.preventDefault();
      picked = (picked + (e.key === "ArrowDown" ? 1 : count - 1)) % count;
      [...found.children].forEach((row, n) => row.classList.toggle("on", n === picked)); found.children[picked].scrollIntoView({ block: "nearest" });
    }
  });
  document.addEventListener("keydown", e => {
    const step = 60, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (e.key === "/") { e.preventDefault(); find.focus(); find.select(); }
    else if (e.key === "+" || e.key === "=") zoom(1.3, wide / 2, high / 2);
    else if (e.key === "-") zoom(1 / 1.3, wide / 2, high / 2);
    else if (e.key === "0" || e.key === "Escape") all();
    else if (moves[e.key]) { px += moves[e.key][0]; py += moves[e.key][1]; draw(); }
  });
  let started = false;
  const resize = () => {
    const cx = (wide / 2 - px) / k, cy = (high / 2 - py) / k; wide = view.clientWidth; high = view.clientHeight; ratio = window.devicePixelRatio || 1;
    marks.width = Math.round(wide * ratio); marks.height = Math.round(high * ratio);
    least = Math.min(wide / data.w, high / data.h) * 0.5;
    if (started) { px = wide / 2 - cx * k; py = high / 2 - cy * k; draw(); }
  };
  window.addEventListener("resize", resize);
  if (svg) { svg.removeAttribute("width"); svg.removeAttribute("height"); svg.setAttribute("preserveAspectRatio", "none"); svg.querySelectorAll("title").forEach(t => t.remove()); }
  resize(); started = true;
  const named = () => { const name = decodeURIComponent(location.hash.slice(1)); return name ? items.findIndex(it => it.n === name) : -1; };
  if (named() >= 0) focus(named(), true); else all(true);
  window.addEventListener("hashchange", () => { const i = named(); if (i >= 0 && i !== chosen) focus(i); });
  window.poplar = { state: () => ({ k, px, py, hover, vertex, chosen, matches: matches.length, tip: tip.style.display === "block" ? tip.textContent : "" }), items, place: i => { const b = items[i].b; return [(b[0] + b[2]) / 2 * k + px, (b[1] + b[3]) / 2 * k + py]; } };
})();
