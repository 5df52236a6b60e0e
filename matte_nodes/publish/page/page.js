"use strict";
// SPDX-License-Identifier: Apache-2.0
// The review page. Colour and alpha are pictures of their own, and are laid over backgrounds here,
// in linear light, as a compositor does it.
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const by = (id) => document.getElementById(id);
  const { width, height, frames, versions } = facts;
  const screen = by("screen"), slider = by("slider"), pen = screen.getContext("2d");
  screen.width = width;
  screen.height = height;
  const shape = (width * facts.pixelAspect) / height;
  screen.style.aspectRatio = shape;
  // A tall picture must leave the slider in the window.
  by("stage").style.maxWidth = `max(${240 * shape}px, calc((100vh - 235px) * ${shape}))`;
  slider.max = frames.length - 1;

  // 8-bit sRGB to linear, and linear in 4096 steps back: within half a code of the exact curve
  // from code 8 up.
  const STEPS = 4095;
  const linear = Float32Array.from({ length: 256 }, (_, i) => {
    const v = i / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  const encoded = Uint8ClampedArray.from({ length: STEPS + 1 }, (_, i) => {
    const v = i / STEPS;
    return Math.round(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055));
  });

  // Decoded pictures, the least recently shown forgotten first.
  const kept = new Map();
  const MOST = 48;
  const reader = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  function bytes(data) {
    const text = atob(data), found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
    return found;
  }
  function pixels(key, data) {
    if (!data) return Promise.resolve(null);
    let found = kept.get(key);
    if (found) {
      kept.delete(key);
    } else {
      found = createImageBitmap(new Blob([bytes(data)]), { colorSpaceConversion: "none" }).then((bitmap) => {
        reader.drawImage(bitmap, 0, 0, width, height);
        bitmap.close();
        return reader.getImageData(0, 0, width, height).data;
      });
      if (kept.size >= MOST) kept.delete(kept.keys().next().value);
    }
    kept.set(key, found);
    return found;
  }
  const plateOf = (i) => pixels(`p${i}`, facts.plate && facts.plate[i]);
  const layer = (v, name, i) => pixels(`${name}${v}/${i}`, versions[v][name][i]);

  const flat = (code) => () => code;
  const checker = (x, y) => (((x >> 4) + (y >> 4)) & 1 ? 150 : 90);
  const all = [
    { name: "Plate", needs: "plate" },
    { name: "Alpha" },
    { name: "Foreground", needs: "color" },
    { name: "Over grey", needs: "color", behind: flat(118) },
    { name: "Over white", needs: "color", behind: flat(255) },
    { name: "Over checker", needs: "color", behind: checker },
    { name: "Over picture", needs: "behind", picture: true },
  ];
  const has = { plate: Boolean(facts.plate), color: facts.hasColor, behind: facts.hasColor };
  const views = all.filter((view) => !view.needs || has[view.needs]);
  let behindPicture = null;

  const state = { at: 0, view: Math.min(views.length - 1, has.plate ? 3 : 2), version: 0, wipe: null, playing: 0 };

  async function drawn(v, i, view) {
    if (view.name === "Plate") return plateOf(i);
    const alpha = await layer(v, "alpha", i);
    if (view.name === "Alpha" || !alpha) return alpha;
    const color = await layer(v, "color", i);
    if (view.name === "Foreground" || !color) return color;
    return over(color, alpha, view);
  }

  // What lies behind, as codes of all pixels; made once a view.
  const grounds = new Map();
  function ground(view) {
    if (view.picture && behindPicture) return behindPicture;
    let found = grounds.get(view.name);
    if (!found) {
      found = new Uint8ClampedArray(width * height * 4).fill(255);
      const code = view.behind || flat(0);
      for (let y = 0, n = 0; y < height; y++) {
        for (let x = 0; x < width; x++, n += 4) found[n] = found[n + 1] = found[n + 2] = code(x, y);
      }
      grounds.set(view.name, found);
    }
    return found;
  }

  function over(color, alpha, view) {
    const under = ground(view), out = new Uint8ClampedArray(color.length);
    for (let n = 0; n < out.length; n += 4) {
      const code = alpha[n];
      out[n + 3] = 255;
      if (code === 255 || code === 0) {
        const solid = code ? color : under;
        out[n] = solid[n];
        out[n + 1] = solid[n + 1];
        out[n + 2] = solid[n + 2];
        continue;
      }
      const a = code / 255, rest = 1 - a;
      for (let c = n; c < n + 3; c++) {
        out[c] = encoded[((linear[color[c]] * a + linear[under[c]] * rest) * STEPS + 0.5) | 0];
      }
    }
    return out;
  }

  let turn = 0;
  async function show(index) {
    const mine = ++turn;
    state.at = Math.max(0, Math.min(frames.length - 1, index));
    const i = state.at, view = views[state.view];
    slider.value = i;
    by("number").textContent = frames[i];
    slider.setAttribute("aria-valuetext", `frame ${frames[i]}`);
    for (const line of document.querySelectorAll(".now")) {
      line.setAttribute("x1", place(i));
      line.setAttribute("x2", place(i));
    }
    numbers(i);
    const wiping = state.wipe !== null && versions.length > 1;
    const first = await drawn(wiping ? 0 : state.version, i, view);
    const second = wiping ? await drawn(1, i, view) : null;
    if (mine !== turn) return;
    by("lost").hidden = Boolean(first);
    if (first) {
      const data = new ImageData(first, width, height);
      pen.putImageData(data, 0, 0);
      if (second) {
        const left = Math.round(state.wipe * width);
        pen.putImageData(new ImageData(second, width, height), 0, 0, left, 0, width - left, height);
      }
    } else {
      pen.clearRect(0, 0, width, height);
      by("lost").textContent = `Frame ${frames[i]} is missing or cannot be read.`;
    }
    by("wipe").hidden = !wiping;
    by("wipe").style.left = `${100 * (state.wipe || 0)}%`;
    screen.dataset.frame = frames[i];
    screen.dataset.view = view.name;
    screen.dispatchEvent(new CustomEvent("shown", { detail: i }));
    for (const next of [i + 1, i + 2]) if (next < frames.length) ahead(next, view);
  }
  function ahead(i, view) {
    if (view.name === "Plate") plateOf(i);
    else for (const name of ["alpha", "color"]) if (versions[state.version][name]) layer(state.version, name, i);
  }

  // Buttons.
  function buttons(home, labels, chosen, pick) {
    home.replaceChildren(...labels.map((label, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-pressed", String(i === chosen()));
      button.onclick = () => {
        pick(i);
        [...home.children].forEach((other, j) => other.setAttribute("aria-pressed", String(j === chosen())));
        show(state.at);
      };
      return button;
    }));
  }
  const choose = (i) => by("views").children[i]?.click();
  buttons(by("views"), views.map((view, i) => `${i + 1} ${view.name}`), () => state.view, (i) => {
    state.view = i;
    if (views[i].picture && !behindPicture) by("pick").click();
  });
  by("viewkeys").textContent = `1-${views.length}`;
  const pick = document.createElement("input");
  pick.type = "file";
  pick.accept = "image/*";
  pick.id = "pick";
  pick.hidden = true;
  pick.onchange = async () => {
    if (pick.files[0]) await lay(await createImageBitmap(pick.files[0]));
  };
  by("viewer").append(pick);
  async function lay(bitmap) {
    const scale = Math.max(width / bitmap.width, height / bitmap.height);
    const w = bitmap.width * scale, h = bitmap.height * scale;
    reader.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
    behindPicture = reader.getImageData(0, 0, width, height).data;
    await show(state.at);
  }

  if (versions.length > 1) {
    by("versions").hidden = by("wipekeys").hidden = false;
    const labels = [`A ${versions[0].name}`, `B ${versions[1].name}`, "Wipe A | B"];
    buttons(by("versions"), labels, () => (state.wipe !== null ? 2 : state.version), (i) => {
      state.wipe = i === 2 ? 0.5 : null;
      if (i < 2) state.version = i;
    });
  }
  const stage = by("stage");
  stage.onpointerdown = stage.onpointermove = (event) => {
    if (state.wipe === null || !(event.buttons & 1)) return;
    const box = stage.getBoundingClientRect();
    wipeTo((event.clientX - box.left) / box.width);
  };
  function wipeTo(share) {
    state.wipe = Math.max(0, Math.min(1, share));
    show(state.at);
  }

  slider.oninput = () => show(Number(slider.value));

  // Playing: by the clock, leaving frames out where the machine is slower.
  function play() {
    state.playing = state.playing ? 0 : performance.now();
    by("play").textContent = state.playing ? "Stop" : "Play";
    const from = state.at === frames.length - 1 ? 0 : state.at;
    const began = state.playing;
    const tick = async (now) => {
      if (state.playing !== began || !began) return;
      const wanted = from + Math.floor(((now - began) / 1000) * facts.rate);
      const last = wanted >= frames.length - 1;
      if (wanted !== state.at) await show(wanted);
      if (last) return play();
      requestAnimationFrame(tick);
    };
    if (began) requestAnimationFrame(tick);
  }
  by("play").onclick = play;

  // Plots. A click goes to the frame under it, or to the peak beside it.
  const WIDE = 1000, HIGH = 100;
  const place = (i) => (frames.length > 1 ? (i / (frames.length - 1)) * WIDE : WIDE / 2);
  const shown = [];
  function path(values, top) {
    let text = "", open = false;
    values.forEach((value, i) => {
      if (value === null) open = false;
      else {
        text += `${open ? "L" : "M"}${place(i).toFixed(1)} ${(HIGH - 4 - (value / top) * (HIGH - 8)).toFixed(1)}`;
        open = true;
      }
    });
    return text;
  }
  const SVG = "http://www.w3.org/2000/svg";
  function drawing(kind, attributes) {
    const found = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    return found;
  }
  for (const plot of facts.plots) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const title = document.createElement("h2"), number = document.createElement("span");
    title.textContent = plot.name;
    caption.append(title, number);
    const lines = plot.values.map((values) => values.filter((v) => v !== null));
    const top = Math.max(1e-9, ...lines.flat());
    const svg = drawing("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", tabindex: "0" });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${plot.name} over time; a click goes to the frame`);
    for (const i of plot.bad) svg.append(drawing("rect", { class: "bad", x: place(i) - 4, y: 0, width: 8, height: HIGH }));
    plot.values.forEach((values, v) => svg.append(drawing("path", { class: "ab"[v], d: path(values, top) })));
    svg.append(drawing("line", { class: "now", y1: 0, y2: HIGH, x1: 0, x2: 0 }));
    svg.onclick = (event) => {
      const box = svg.getBoundingClientRect();
      const near = Math.round(((event.clientX - box.left) / box.width) * (frames.length - 1));
      show(peak(plot.values[0], near));
    };
    figure.append(caption, svg);
    by("plots").append(figure);
    shown.push({ plot, number });
  }
  function peak(values, near) {
    const reach = Math.max(1, Math.round(frames.length / 60));
    let best = Math.max(0, Math.min(frames.length - 1, near));
    for (let i = Math.max(0, near - reach); i <= Math.min(frames.length - 1, near + reach); i++) {
      if (values[i] !== null && (values[best] === null || values[i] > values[best])) best = i;
    }
    return best;
  }
  function numbers(i) {
    for (const { plot, number } of shown) {
      const text = (value) => (value === null ? "-" : value.toFixed(plot.digits));
      const most = Math.max(...plot.values.flat().map((value) => value ?? 0));
      const named = plot.values.length > 1 ? ["A ", "B "] : [""];
      const said = plot.values.map((values, v) => named[v] + text(values[i])).join(", ");
      number.textContent = `${said} ${plot.unit}, at most ${text(most)}`;
    }
  }
  function nextPeak() {
    const values = facts.plots[facts.plots.length - 1].values[0];
    const limit = facts.peak;
    for (let step = 1; step <= frames.length; step++) {
      const i = (state.at + step) % frames.length;
      const v = values[i];
      if (v !== null && v >= limit && v >= (values[i - 1] ?? -1) && v >= (values[i + 1] ?? -1)) return show(i);
    }
    return null;
  }

  // Checks.
  const MANY = 40;
  const table = document.createElement("table");
  for (const check of facts.checks) {
    const row = table.insertRow();
    row.insertCell().textContent = check.mark;
    row.cells[0].className = check.mark;
    row.insertCell().textContent = check.name;
    const cell = row.insertCell();
    cell.textContent = check.findings.length ? "" : check.help;
    for (const finding of check.findings) {
      const text = document.createElement("div");
      text.textContent = finding.text;
      cell.append(text);
      if (finding.frames.length > MANY) continue; // most of the shot: nothing to jump to
      for (const number of finding.frames) {
        const i = frames.indexOf(number);
        if (i < 0) continue;
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = number;
        button.onclick = () => show(i);
        cell.append(button);
      }
    }
  }
  by("checks").append(table);
  by("title").textContent = facts.title;
  by("origin").textContent = facts.origin;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by10 = event.shiftKey ? 10 : 1;
    const act = {
      ArrowLeft: () => show(state.at - by10),
      ArrowRight: () => show(state.at + by10),
      Home: () => show(0),
      End: () => show(frames.length - 1),
      " ": play,
      p: nextPeak,
      a: () => by("versions").children[0]?.click(),
      b: () => by("versions").children[1]?.click(),
      w: () => by("versions").children[2]?.click(),
      "[": () => state.wipe !== null && wipeTo(state.wipe - 0.02),
      "]": () => state.wipe !== null && wipeTo(state.wipe + 0.02),
    }[event.key];
    if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
    else if (act && !(event.key === " " && event.target.tagName === "BUTTON")) act();
    else return;
    event.preventDefault();
  });

  const ready = facts.behind
    ? createImageBitmap(new Blob([bytes(facts.behind)])).then(lay)
    : show(0);
  ready.then(() => { document.documentElement.dataset.ready = "yes"; });
})();
