"use strict";
// Draws each chart from the table that stands behind it, and lets the rows of tables be sorted and searched.
// Whatever a table says goes into the page as text alone.
(() => {
  const DRAWN_MAX = 12; // bars: the first of these are the largest differences
  const BARS_MAX = 62; // days: more of them are lines
  const NAME_MAX = 30;
  const PAPER = 680; // what A4 leaves between its margins
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const short = (text, most = NAME_MAX) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  // --- tables ---

  const cellOf = (row, place) => row.cells[place];
  const valueOf = (row, place) => {
    const cell = cellOf(row, place);
    return cell.dataset.n === undefined ? cell.textContent.trim() : cell.dataset.n === "" ? -Infinity : Number(cell.dataset.n);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

  const sort = (table, place) => {
    const heads = [...table.tHead.rows[0].cells];
    const isNumber = heads[place].classList.contains("number");
    const before = heads[place].getAttribute("aria-sort");
    const turn = before === null ? (isNumber ? -1 : 1) : before === "ascending" ? -1 : 1;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => turn * compare(valueOf(a, place), valueOf(b, place)));
    table.tBodies[0].append(...rows);
  };

  const makeSortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(table, place));
      head.replaceChildren(button);
    });
  };

  const makeSearched = (table) => {
    const rows = [...table.tBodies[0].rows];
    const place = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    place.className = "search";
    place.setAttribute("role", "search");
    input.type = "search";
    input.autocomplete = "off";
    input.id = `${table.id}-search`;
    label.htmlFor = input.id;
    label.textContent = `Search the ${table.dataset.nouns}`;
    count.htmlFor = input.id;
    const tell = (shown) => (count.textContent = `${shown} of ${rows.length} shown`);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase();
      rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(words)));
      tell(rows.filter((row) => !row.hidden).length);
    });
    tell(rows.length);
    place.append(label, input, count);
    table.parentElement.before(place);
  };

  // --- charts ---

  const rowsOf = (table) =>
    [...table.tBodies[0].rows].map((row) => ({
      key: row.cells[0].textContent.trim(),
      numbers: [...row.cells].map((cell) => Number(cell.dataset.n)),
      texts: [...row.cells].map((cell) => cell.textContent.trim()),
    }));

  const JOBS = 1, USERS = 2, NOW = 3, THEN = 4, BY = 5, PERCENT = 6;
  const told = ({ key, texts }) =>
    `${key}\nnow ${texts[NOW]}, then ${texts[THEN]}\n${texts[BY]}${texts[PERCENT] && ` (${texts[PERCENT]} %)`}\n` +
    `${texts[JOBS]} jobs, ${texts[USERS]} users`;
  const base = (width, more) => ({ width, className: "plot", style: { fontSize: "12px" }, ...more });
  const money = { tickFormat: (number) => compact.format(number), label: null, grid: true, nice: true };

  const days = (rows, width) => {
    const dated = rows
      .filter(({ key }) => /^\d{4}-\d\d-\d\d$/.test(key))
      .map((row) => ({ ...row, day: new Date(`${row.key}T00:00:00Z`) }));
    const hours = (day, count) => new Date(day.getTime() + count * 3_600_000);
    const bars = (which, from, to) =>
      Plot.rectY(dated, {
        x1: ({ day }) => hours(day, from), x2: ({ day }) => hours(day, to), y: ({ numbers }) => numbers[which],
        fill: which === NOW ? "var(--now)" : "var(--then)",
      });
    const line = (which) =>
      Plot.lineY(dated, {
        x: "day", y: ({ numbers }) => numbers[which], strokeWidth: which === NOW ? 3 : 1.75,
        stroke: which === NOW ? "var(--now)" : "var(--then)",
      });
    const few = dated.length <= BARS_MAX;
    const marks = few ? [bars(NOW, -10, 0), bars(THEN, 0, 10)] : [line(NOW), line(THEN)];
    const ticks = few && dated.length <= 8 ? { ticks: dated.map(({ day }) => day), tickFormat: (day) => day.toISOString().slice(5, 10) } : {};
    const tip = Plot.tip(dated, Plot.pointerX({ x: "day", y: ({ numbers }) => Math.max(numbers[NOW], numbers[THEN]), title: told, lineHeight: 1.35 }));
    return Plot.plot(base(width, {
      height: 260, marginLeft: 56, marginTop: 16, x: { type: "utc", label: null, ...ticks }, y: money,
      marks: [Plot.ruleY([0]), ...marks, tip],
    }));
  };

  const across = (rows, width, { values, fills, said, tips }) => {
    const narrow = width < 520;
    const most = narrow ? 16 : NAME_MAX;
    const longest = Math.max(...rows.map(({ key }) => Math.min(key.length, most)));
    const step = 15 * values.length + (values.length > 1 ? 12 : 7);
    const bars = values.map((value, place) =>
      Plot.barX(rows, {
        y: "key", x: value, fill: fills[place], insetTop: place * 15, insetBottom: (values.length - 1 - place) * 15,
      }));
    const ends = (row) => Math.max(0, ...values.map((value) => value(row)));
    return Plot.plot(base(width, {
      height: rows.length * step + 46, marginLeft: 14 + longest * 7, marginRight: narrow ? 92 : 150, marginTop: 8,
      x: { ...money, ticks: narrow ? 3 : 6 },
      y: { domain: rows.map(({ key }) => key), label: null, tickFormat: (key) => short(key, most), tickSize: 0, padding: 1 - (15 * values.length) / step },
      marks: [
        ...bars,
        Plot.ruleX([0]),
        Plot.text(rows, { y: "key", x: ends, text: said, textAnchor: "start", dx: 6, fill: "currentColor" }),
        Plot.tip(rows, Plot.pointerY({ y: "key", x: ends, title: tips, anchor: "left", maxRadius: 60, lineHeight: 1.35 })),
      ],
    }));
  };

  const bars = (rows, width) =>
    across(rows.slice(0, DRAWN_MAX), width, {
      values: [({ numbers }) => numbers[NOW], ({ numbers }) => numbers[THEN]],
      fills: ["var(--now)", "var(--then)"],
      said: ({ texts }) => (texts[PERCENT] ? `${texts[PERCENT]} %` : texts[BY]),
      tips: told,
    });

  const spread = (rows, width) =>
    across(rows, width, {
      values: [({ numbers }) => numbers[1]],
      fills: [({ numbers }) => (numbers[2] > 0 ? "var(--more)" : "var(--less)")],
      said: ({ texts }) => texts[1],
      tips: ({ key, texts }) => `${key}\n${texts[1]} users, ${texts[2]} credits in all`,
    });

  const KINDS = { days, bars, spread };

  const draw = (figure) => {
    const table = document.getElementById(figure.dataset.table);
    const rows = rowsOf(table);
    const place = figure.querySelector(".drawing");
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `${table.caption.textContent}. The figures stand in the table below.`);
    let width = 0;
    const drawAt = (room) => {
      if (room === width || room === 0) return;
      width = room;
      const drawn = KINDS[figure.dataset.chart](rows, width);
      drawn.setAttribute("aria-hidden", "true"); // its parts say less than the table does
      place.replaceChildren(drawn);
    };
    const fit = () => drawAt(Math.floor(place.clientWidth));
    new ResizeObserver(fit).observe(place);
    addEventListener("beforeprint", () => drawAt(PAPER));
    addEventListener("afterprint", fit);
  };

  document.querySelectorAll("figure[data-chart]").forEach(draw);
  document.querySelectorAll("table").forEach(makeSortable);
  document.querySelectorAll("table[data-searched]").forEach(makeSearched);

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)));
})();
