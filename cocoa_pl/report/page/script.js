"use strict";

// Choosing, sorting and reading off values. The page shows everything without this.
(() => {
  const find = (id) => document.getElementById(id);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const natural = (a, b) => a.localeCompare(b, undefined, { numeric: true });
  const nanLast = (x, y, sign) => (Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y));
  const root = document.documentElement;
  const holder = find("cards");
  const control = Object.fromEntries(["target", "method", "view", "frame", "film", "play", "strength", "order", "rank", "boxes", "flagged"].map((id) => [id, find(id)]));

  const traces = all(".legend").map((legend) => ({ ...legend.dataset }));
  const cards = all(".picture").map((element, given) => ({
    element,
    given,
    name: element.dataset.name,
    maps: all(".tile[data-frame]", element).map((tile) => ({
      tile,
      data: tile.dataset,
      frame: tile.dataset.frame,
      trace: tile.closest(".trace").dataset.trace,
      view: tile.closest(".view").dataset.view,
    })),
  }));

  // ---- what is shown: a style sheet that hides the rest

  const sheet = document.head.appendChild(document.createElement("style"));
  let kept = {};

  const chosenTraces = () => {
    const { target, method } = control;
    const fits = (trace) => (!target?.value || trace.target === target.value) && (!method?.value || trace.method === method.value);
    return traces.filter(fits).map((trace) => trace.trace);
  };

  // where no such pair was asked for, the other menu gives way
  const choose = (changed) => {
    const other = changed === control.target ? control.method : control.target;
    if (other && !chosenTraces().length) {
      const part = changed === control.target ? ["target", "method"] : ["method", "target"];
      other.value = traces.find((trace) => trace[part[0]] === changed.value)[part[1]];
    }
    show();
  };

  const show = () => {
    const filming = control.film?.checked;
    kept = { trace: chosenTraces() };
    if (control.view?.value) kept.view = [control.view.value];
    if (control.frame && !filming) kept.frame = [control.frame.value];
    const rules = Object.entries(kept).map(([part, values]) => {
      const shown = values.map((value) => `[data-${part}="${value}"]`).join(",");
      return `[data-${part}]:not(${shown}){display:none}`;
    });
    if (kept.frame) rules.push(`.now[data-frame="${kept.frame[0]}"]{display:inline}`);
    sheet.textContent = rules.join("\n");
    holder.classList.toggle("film", Boolean(filming));
    document.querySelector(".panel").classList.toggle("single", kept.trace.length === 1);
    if (control.frame) find("title").value = control.frame.list.options[control.frame.value].label;
    arrange();
  };

  const isShown = (map) => Object.entries(kept).every(([part, values]) => values.includes(map[part]));

  // ---- order and filter

  const valueOf = (card, name) => {
    const known = card.maps.filter(isShown).map((map) => map.data[name]).filter((value) => value !== undefined).map(Number);
    return known.length ? (name === "drift" ? Math.max(...known) : known[0]) : NaN;
  };

  const arrange = () => {
    const [by, side] = control.order.value.split(" ");
    const sign = side === "lowest" || side === "smallest" ? 1 : -1;
    const keys = new Map(cards.map((card) => [card, by ? valueOf(card, by) : 0]));
    const compare = (a, b) => (by === "name" ? natural(a.name, b.name) : nanLast(keys.get(a), keys.get(b), sign));
    const sorted = [...cards].sort((a, b) => compare(a, b) || a.given - b.given);
    if (sorted.some((card, place) => holder.children[place] !== card.element)) holder.append(...sorted.map((card) => card.element));
    let shown = 0;
    const least = control.rank?.value;
    const wanted = [control.flagged?.checked && ((map) => map.data.flag), least && ((map) => Number(map.data.rank) >= Number(least))].filter(Boolean);
    for (const card of cards) {
      card.element.hidden = !wanted.every((fits) => card.maps.some((map) => isShown(map) && fits(map)));
      shown += card.element.hidden ? 0 : 1;
    }
    find("count").value = shown < cards.length ? `${shown} of ${cards.length} pictures` : "";
  };

  // ---- the run: an epoch at a time, or one after another

  let playing = 0;
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    control.play.setAttribute("aria-pressed", "false");
    control.play.textContent = "Play";
  };
  const step = () => {
    const { frame } = control;
    frame.value = Number(frame.value) < Number(frame.max) ? Number(frame.value) + 1 : 0;
    show();
  };
  const play = () => {
    if (playing) return stop();
    if (control.film.checked) control.film.checked = false;
    playing = setInterval(step, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1600 : 800);
    control.play.setAttribute("aria-pressed", "true");
    control.play.textContent = "Stop";
    step();
  };

  // ---- the value under the pointer, read from the file of the map itself: a palette of 2 * 127 + 1 levels

  const TOP = 127, UNKNOWN = 255;
  const decoded = new WeakMap();

  const decode = async (image) => {
    const bytes = Uint8Array.from(atob(image.src.slice(image.src.indexOf(",") + 1)), (char) => char.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const [width, height] = [view.getUint32(16), view.getUint32(20)];
    let at = 8;
    while (view.getUint32(at + 4) !== 0x49444154) at += 12 + view.getUint32(at); // IDAT
    const packed = new Blob([bytes.subarray(at + 8, at + 8 + view.getUint32(at))]);
    const rows = new Uint8Array(await new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
    const levels = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      const differences = rows[y * (width + 1)] === 2; // to the row above
      for (let x = 0; x < width; x++) {
        levels[y * width + x] = rows[y * (width + 1) + 1 + x] + (differences && y ? levels[(y - 1) * width + x] : 0);
      }
    }
    return { levels, width, height };
  };

  const levelsOf = (image) => {
    if (!decoded.has(image)) decoded.set(image, decode(image));
    return decoded.get(image);
  };

  const signed = (value) => {
    const digits = Math.abs(value) < 1e-4 && value ? Math.abs(value).toExponential(1) : Number(Math.abs(value).toPrecision(3)).toString();
    return (value < 0 ? "\u2212" : value > 0 ? "+" : "") + digits;
  };

  const words = (level, scale) => {
    if (level === UNKNOWN) return ["not known", ""];
    const share = (level - TOP) / TOP;
    const beyond = Math.abs(share) === 1 && scale;
    return [`${beyond ? "at least " : ""}${signed(share * scale)}`, beyond ? "at the scale or beyond" : `${signed(Math.round(100 * share))} % of the scale`];
  };

  const box = find("value");
  let turn = 0;
  const forget = () => {
    turn += 1;
    box.hidden = true;
    for (const mark of all(".stack b", holder)) mark.style.display = "";
  };

  const readOff = async (event) => {
    forget();
    const mine = turn;
    const stack = event.target.closest(".stack");
    if (!stack) return;
    const frame = stack.getBoundingClientRect();
    const [x, y] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return;
    const view = stack.closest(".view");
    for (const mark of all("b", view).filter((each) => each.parentElement.matches(".stack"))) {
      Object.assign(mark.style, { left: `${100 * x}%`, top: `${100 * y}%`, display: mark.parentElement === stack ? "" : "block" });
    }
    const own = stack.querySelector(".map");
    const beside = all(".map", view).filter((map) => map.offsetParent);
    const read = beside.length > 4 ? (own ? [own] : []) : beside;
    const lines = await Promise.all(read.map(async (map) => {
      const { levels, width, height } = await levelsOf(map);
      const { trace } = map.closest(".trace").dataset;
      const scale = Number(traces[trace].scale);
      const [value, relative] = words(levels[Math.floor(y * height) * width + Math.floor(x * width)], scale);
      const when = map.closest(".tile").querySelector(".when")?.textContent;
      const named = map.closest(".trace").querySelector(".what").title;
      const label = read.length > 1 ? [kept.trace.length > 1 && named, when].filter(Boolean).join(", ") : "";
      return { own: map === own, value, relative, label };
    }));
    if (mine !== turn || !lines.length) return;
    box.replaceChildren(...lines.map((line) => {
      const row = document.createElement("p");
      const value = document.createElement(line.own || lines.length === 1 ? "b" : "span");
      value.textContent = line.value;
      row.append(value, ` ${line.relative}`);
      if (line.label) row.append(document.createElement("br"), line.label);
      return row;
    }));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const left = Math.min(event.clientX + 16, root.clientWidth - width - 8);
    const above = event.clientY - height - 16;
    box.style.transform = `translate(${Math.max(8, left)}px,${above > 8 ? above : event.clientY + 20}px)`;
  };

  // ---- tables whose columns sort

  const sortable = (table) => {
    const heads = all("th", table);
    const valueIn = (row, column) => {
      const content = row.cells[column].textContent;
      return heads[column].classList.contains("num") ? Number(content.replace("\u2212", "-")) : content;
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const body = table.tBodies[0];
        const keyed = [...body.rows].map((row) => [valueIn(row, column), row]);
        const sign = rising ? 1 : -1;
        keyed.sort(([a], [b]) => (typeof a === "string" ? sign * natural(a, b) : nanLast(a, b, sign)));
        body.append(...keyed.map(([, row]) => row));
      });
    });
  };

  // ---- wiring

  for (const name of ["target", "method"]) control[name]?.addEventListener("change", () => choose(control[name]));
  control.view?.addEventListener("change", show);
  control.film?.addEventListener("change", () => { stop(); show(); });
  control.frame?.addEventListener("input", () => { stop(); control.film.checked = false; show(); });
  control.play?.addEventListener("click", play);
  control.order.addEventListener("change", arrange);
  control.flagged?.addEventListener("change", arrange);
  control.rank?.addEventListener("change", arrange);
  control.boxes?.addEventListener("change", () => holder.classList.toggle("boxless", !control.boxes.checked));
  control.strength.addEventListener("input", () => root.style.setProperty("--strength", control.strength.value / 100));
  holder.addEventListener("pointermove", readOff);
  holder.addEventListener("pointerdown", readOff);
  holder.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") forget(); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".stack")) forget(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") forget(); });
  all("[data-sortable] table").forEach(sortable);

  const theme = find("theme");
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => theme.setAttribute("aria-pressed", String(dark()));
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  label();
  show();
})();
