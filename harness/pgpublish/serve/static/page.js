// What happens now. All that comes from the server becomes text: no HTML is made of it.

const SHOWN = 12; // changes
const KEPT = 300; // changes, to choose a kind among them
const REMEMBERED = 2000; // keys, whose last version is compared with the next
const LARGEST = 50_000; // characters of a change that is remembered
const FIELDS = 8; // of one change
const LONGEST = 160; // characters of a value
const SILENCE = 50_000; // ms without a sign of life
const PLACE = "pgpublish.token";

const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let generation = 0; // another token begins another one, and ends what the one before asks for
let newest = null; // the last answer of now
let frozen = false;

// --- text and elements

/** Control characters, and marks that change the direction of text, are shown as what they are. */
function plain(text) {
  return String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function el(tag, attributes, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : plain(child))));
  return made;
}

/** Makes old what made is. What is equal stays, so that focus and selection stay too. */
function patch(old, made) {
  if (old.nodeName !== made.nodeName || old.dataset?.row !== made.dataset?.row) {
    old.replaceWith(made);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== made.data) old.data = made.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!made.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of made.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  fill(old, [...made.childNodes]);
}

function fill(parent, wanted) {
  const there = [...parent.childNodes];
  wanted.forEach((child, n) => (n < there.length ? patch(there[n], child) : parent.append(child)));
  there.slice(wanted.length).forEach((child) => child.remove());
}

function say(id, text) {
  $(id).hidden = !text;
  if ($(id).textContent !== text) $(id).textContent = plain(text);
}

function state(text, tone) {
  const shown = frozen ? "held still" : text;
  if ($("state").textContent !== shown) $("state").textContent = shown;
  $("state").className = `state ${frozen ? "" : tone}`;
  $("state").dataset.text = text;
  $("state").dataset.tone = tone;
}

// --- the server

class Refused extends Error {
  constructor(status, problem) {
    super(problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.hint = [problem.detail, problem.hint].filter(Boolean).join(" ");
  }
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(PLACE);
  const headers = { ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, {
    credentials: "omit", cache: "no-store", ...options, headers,
  });
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

/** True if it would be refused again. */
function isFinal(error) {
  return error instanceof Refused && error.status < 500 && error.status !== 429;
}

// --- now

async function watch(mine) {
  for (let n = 0; mine === generation; n++) {
    if (!document.hidden && !frozen) {
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), 20_000);
      try {
        const found = await (await ask("now", { signal: stop.signal })).json();
        if (mine !== generation) return;
        newest = found;
        say("note", "");
        show(found);
        if (n % 10 === 0) {
          const curves = await (await ask("now/curves", { signal: stop.signal })).json();
          if (mine !== generation) return;
          fill($("charts"), curves.map(chart));
        }
      } catch (error) {
        if (mine !== generation) return;
        if (isFinal(error)) {
          refuse(error);
          return;
        }
        n = -1; // curves come with the next answer
        state("no answer, trying again", "bad");
        await wait(1000);
      } finally {
        clearTimeout(timer);
      }
    }
    await wait(1000);
  }
}

function refuse(error) {
  generation += 1;
  newest = null;
  for (const id of ["cards", "warnings", "charts", "tables"]) $(id).replaceChildren();
  forget();
  state(error.status === 401 ? "needs a token" : "refused", "warn");
  say("note", `${error.message}. ${error.hint}`);
  if (error.status === 401 && !$("token").open) openToken();
}

function show(found) {
  const name = found.database ?? "feed";
  document.title = `${found.warnings?.length ? `(${found.warnings.length}) ` : ""}${plain(name)}: pgpublish`;
  $("database").textContent = plain(name);
  $("about").textContent = plain(`what happens now${found.is_standby ? ", on a standby" : ""}`);
  $("version").textContent = plain(found.version);
  fill($("cards"), found.cards.map((card) =>
    el("div", { class: "card" }, el("dt", {}, card.name), el("dd", { class: card.tone }, card.text)),
  ));
  fill($("warnings"), found.warnings === null ? [] : [warnings(found.warnings)]);
  fill($("tables"), found.tables.filter((one) => one.rows.length).map(table));
  if (JSON.stringify(kindsThere()) !== JSON.stringify(found.kinds)) {
    const chosen = $("kind").value;
    $("kind").replaceChildren(
      el("option", { value: "" }, "all kinds"),
      ...found.kinds.map((kind) => el("option", { value: kind }, kind)),
    );
    $("kind").value = found.kinds.includes(chosen) ? chosen : "";
  }
}

const kindsThere = () => [...$("kind").options].slice(1).map((option) => option.value);

function warnings(found) {
  if (!found.length) {
    return el("section", { class: "all-well" }, el("h2", { class: "good" }, "Nothing needs somebody"));
  }
  return el("section", { class: "needs", "aria-labelledby": "needs" },
    el("h2", { class: "bad", id: "needs" }, "Needs somebody"),
    ...found.map((one) =>
      el("p", {}, el("b", {}, one.about), `: ${one.message}`, el("br"),
        el("span", { class: "soft" }, one.hint))),
  );
}

function table(found) {
  const id = `table-${found.name}`;
  const acts = found.rows.some((row) => row.actions.length);
  // Roles are named because a narrow table is laid out as blocks, which would end them.
  const heads = found.heads.map((head, n) =>
    el("th", { role: "columnheader", scope: "col", class: found.rows[0].cells[n].number ? "n" : "" }, head));
  if (acts) heads.push(el("th", { role: "columnheader", scope: "col" }, "actions"));
  return el("section", { "aria-labelledby": id, "data-row": found.name },
    el("h2", { id }, found.title),
    el("table", { role: "table", "aria-labelledby": id },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)),
      el("tbody", { role: "rowgroup" }, ...found.rows.map((row) => line(row, found.heads, acts)))),
  );
}

function line(row, heads, acts) {
  const cells = row.cells.map((cell, n) => {
    const bar = cell.part === null ? []
      : [el("progress", { max: 100, value: cell.part, "aria-label": heads[n] })];
    const below = cell.below ? [el("span", { class: "below" }, cell.below)] : [];
    const kinds = [cell.name && "name", cell.number && "n", below.length && "wide", cell.tone];
    return el("td", { role: "cell", class: kinds.filter(Boolean).join(" "), "data-head": heads[n] },
      ...bar, cell.text, ...below);
  });
  if (acts) {
    cells.push(el("td", { role: "cell", class: "wide" }, ...row.actions.map((one) =>
      el("button", {
        type: "button", "data-action": one.action, "data-name": one.name, "data-label": one.label,
        "data-ask": one.ask, "aria-haspopup": "dialog", "aria-label": `${one.label}: ${plain(one.name)}`,
      }, one.label))));
  }
  return el("tr", { role: "row", "data-row": row.cells[0].text }, ...cells);
}

function chart(found) {
  const { width, height, left } = found;
  const lines = found.levels.flatMap(([y, text]) => [
    el("svg:path", { class: "grid", d: `M${left} ${y}H${width}` }),
    el("svg:text", { x: left - 6, y: y + 4, "text-anchor": "end" }, text),
  ]);
  const drawn = found.curves.flatMap((curve, n) => curve.flatMap((points) => [
    ...(found.base === null ? []
      : [el("svg:polygon", { class: "fill", points: `${left},${found.base} ${points} ${width},${found.base}` })]),
    el("svg:polyline", { class: `curve ${n ? "b" : "a"}`, "stroke-linecap": "round", points }),
  ]));
  const below = found.times.map(([x, text], n) =>
    el("svg:text", { x, y: height - 4, "text-anchor": ["start", "middle", "middle", "middle", "end"][n] }, text));
  const key = found.base === null
    ? [el("p", { class: "key" }, el("i", { class: "ink-a" }, "p50"), " · ", el("i", { class: "ink-b" }, "p95"))]
    : [];
  return el("section", {},
    el("h2", {}, found.title),
    el("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${found.title}, at most ${found.levels[2][1]}` },
      ...lines, ...drawn, ...below),
    ...key);
}

// --- changes

const seen = new Map(); // pub_id: the change seen last; the oldest first
let changes = []; // { change, before }, the newest first
let due = null;

function forget() {
  seen.clear();
  changes = [];
  draw();
}

function take(change, size) {
  if (seen.get(change.pub_id)?.rev >= change.rev) return; // told again after an interruption
  changes.unshift({ change, before: seen.get(change.pub_id), fresh: live });
  changes.length = Math.min(changes.length, KEPT);
  seen.delete(change.pub_id);
  if (size <= LARGEST) seen.set(change.pub_id, change);
  if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value);
  due ??= setTimeout(draw, 200);
}

function draw() {
  due = null;
  if (frozen) return;
  const kind = $("kind").value;
  const shown = changes.filter(({ change }) => !kind || change.kind === kind).slice(0, SHOWN);
  $("none").hidden = shown.length > 0;
  const there = new Map([...$("list").children].map((item) => [item.dataset.row, item]));
  let next = $("list").firstChild;
  for (const one of shown) {
    const row = `${one.change.kind} ${one.change.rev}`;
    const wanted = there.get(row) ?? item(one, row);
    if (wanted === next) next = next.nextSibling; // what is moved would be lit again
    else $("list").insertBefore(wanted, next);
    there.delete(row);
  }
  there.forEach((gone) => gone.remove());
}

function item({ change, before, fresh }, row) {
  const [what, tone] = kindOf(change, before);
  return el("li", { "data-row": row, class: fresh ? "fresh" : "" },
    el("div", { class: "line" },
      el("span", { class: `what ${tone}` }, what),
      el("b", {}, change.kind),
      el("bdi", { class: "key" }, short(change.key ?? change.pub_id.slice(0, 8))),
      el("span", { class: "rev" }, el("span", { class: "word" }, "rev "), change.rev),
      el("time", { datetime: change.updated_at, title: change.updated_at }, clock(change.updated_at))),
    difference(change, before));
}

function kindOf(change, before) {
  if (change.deleted) return ["deleted", "bad"];
  if (before?.deleted || change.created_at === change.updated_at) return ["new", "good"];
  return ["changed", "ink-a"];
}

function difference(change, before) {
  const now = fields(change.payload);
  if (before === undefined || before.deleted) {
    const some = [...now].slice(0, FIELDS).map(([field, value]) => entry(field, undefined, value));
    if (!change.deleted && before === undefined && change.created_at !== change.updated_at) {
      some.push(el("li", { class: "soft" }, "(its version before was not seen here)"));
    }
    return el("ul", { class: "diff row" }, ...some);
  }
  const past = fields(before.payload);
  const names = [...new Set([...past.keys(), ...now.keys()])];
  const other = names.filter((name) => past.get(name) !== now.get(name));
  const told = change.deleted
    ? [...past].slice(0, FIELDS).map(([field, value]) => entry(field, value, undefined))
    : other.slice(0, FIELDS).map((name) => entry(name, past.get(name), now.get(name)));
  if (!change.deleted && other.length > FIELDS) {
    told.push(el("li", { class: "soft" }, `and ${other.length - FIELDS} more fields`));
  }
  return el("ul", { class: change.deleted ? "diff row" : "diff" }, ...told);
}

function entry(field, past, now) {
  const parts = [el("bdi", { class: "field" }, short(field))];
  if (past !== undefined) {
    parts.push(el("span", { class: "hear" }, "was "), el("del", {}, el("bdi", {}, short(past))), " ");
  }
  if (past !== undefined && now !== undefined) {
    parts.push(el("span", { "aria-hidden": "true", class: "soft" }, "→ "),
      el("span", { class: "hear" }, "is now "));
  }
  if (now !== undefined) {
    parts.push(past === undefined ? el("bdi", {}, short(now)) : el("ins", {}, el("bdi", {}, short(now))));
  }
  return el("li", {}, ...parts);
}

/** Leaves of a payload as text by their path; a list is one leaf. */
function fields(payload) {
  const found = new Map();
  const walk = (value, path, depth) => {
    if (value !== null && typeof value === "object" && !Array.isArray(value) && depth < 4) {
      for (const [name, part] of Object.entries(value)) walk(part, path ? `${path}.${name}` : name, depth + 1);
    } else {
      found.set(path || "payload", typeof value === "string" ? value : JSON.stringify(value));
    }
  };
  if (payload !== null) walk(payload, "", 0);
  return found;
}

function short(text) {
  const said = String(text);
  return said.length > LONGEST ? `${said.slice(0, LONGEST)}…` : said;
}

function clock(at) {
  const when = new Date(at);
  return Number.isNaN(when.getTime()) ? String(at) : when.toLocaleTimeString("en-GB");
}

let live = false;

async function follow(mine) {
  let cursor = null;
  let pause = 500;
  while (mine === generation) {
    if (newest === null) {
      await wait(50);
      continue;
    }
    cursor ??= newest.recent;
    const stop = new AbortController();
    const end = () => stop.abort();
    let timer = setTimeout(end, SILENCE);
    try {
      const response = await ask("stream", {
        headers: { Accept: "text/event-stream", "Last-Event-ID": cursor }, signal: stop.signal,
      });
      for await (const block of blocks(response.body)) {
        if (mine !== generation) return;
        clearTimeout(timer);
        timer = setTimeout(end, SILENCE);
        pause = 500;
        if (block.event === "reset") {
          forget();
          cursor = null;
          newest = null; // the next answer says where to begin
          live = false;
          break;
        }
        if (block.event === "live") {
          live = true;
          state("live", "good");
        } else if (block.data !== undefined) {
          take(JSON.parse(block.data), block.data.length);
        }
        if (block.id !== undefined) cursor = block.id;
      }
    } catch (error) {
      if (mine !== generation) return;
      if (isFinal(error)) {
        if (error.status !== 400) {
          refuse(error);
          return;
        }
        cursor = null;
        newest = null;
      }
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    if (mine !== generation) return;
    live = false;
    state("connecting again", "warn");
    await wait(pause / 2 + (Math.random() * pause) / 2);
    pause = Math.min(pause * 2, 10_000);
  }
}

/** The blocks of server-sent events as objects. */
async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      yield Object.fromEntries(part.split("\n").filter((text) => text.includes(": ")).map((text) => {
        const at = text.indexOf(": ");
        return [text.slice(0, at), text.slice(at + 2)];
      }));
    }
  }
}

// --- what a person does

function start() {
  generation += 1;
  newest = null;
  live = false;
  say("note", "");
  forget();
  state("connecting", "");
  $("sign").textContent = sessionStorage.getItem(PLACE) === null ? "Token" : "Token is set";
  watch(generation);
  follow(generation);
}

function openToken() {
  $("token-text").value = "";
  $("token-forget").hidden = sessionStorage.getItem(PLACE) === null;
  $("token").showModal();
  $("token-text").focus();
}

function useToken(token) {
  $("token").close();
  if (token) sessionStorage.setItem(PLACE, token);
  else sessionStorage.removeItem(PLACE);
  start();
}

$("sign").addEventListener("click", openToken);
$("token-no").addEventListener("click", () => $("token").close());
$("token-forget").addEventListener("click", () => useToken(""));
$("token-yes").addEventListener("click", () => useToken($("token-text").value.trim()));
$("token-text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault(); // or it would also press the button that gets the focus back
  useToken($("token-text").value.trim());
});

$("freeze").addEventListener("click", () => {
  frozen = !frozen;
  $("freeze").setAttribute("aria-pressed", String(frozen));
  state($("state").dataset.text ?? "", $("state").dataset.tone ?? "");
  draw();
});

$("kind").addEventListener("change", draw);

let asked = null;

$("tables").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button === null) return;
  asked = { ...button.dataset };
  $("ask-title").textContent = plain(`${asked.label}: ${asked.name}`);
  $("ask-text").textContent = plain(asked.ask);
  $("ask-yes").textContent = asked.label;
  $("ask").showModal();
});
$("ask-no").addEventListener("click", () => $("ask").close());
$("ask-yes").addEventListener("click", async () => {
  const { action, name, label } = asked;
  $("ask").close();
  say("done", `${label}: ${name} …`);
  try {
    const response = await ask("operate", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ action, name }),
    });
    const { done } = await response.json();
    say("done", `${label}: ${name}. Done${done === 1 ? "" : ` for ${done}`}.`);
  } catch (error) {
    say("done", `${label}: ${name}. It failed: ${error.message}. ${error.hint ?? ""}`);
  }
});

start();
