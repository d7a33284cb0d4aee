import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { changes, events, FeedError, mirror, ResetError } from "../dist/index.js";

/** A server that answers each connection by the next of these functions. */
async function server(t, ...answers) {
  const asked = [];
  const open = createServer((request, response) => {
    asked.push({ url: request.url, headers: request.headers });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    answer(response, request);
  });
  await new Promise((resolve) => open.listen(0, "127.0.0.1", resolve));
  t.after(() => (open.closeAllConnections(), open.close()));
  return { url: `http://127.0.0.1:${open.address().port}/feed`, asked };
}

const change = (rev, more = {}) =>
  JSON.stringify({ rev, kind: "note", pub_id: `p${rev}`, deleted: false, payload: rev, ...more });
const streams =
  (text, end = true) =>
  (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`retry: 1\n\n${text}`);
    if (end) response.end();
  };
const refuses =
  (status, body = {}, headers = {}) =>
  (response) => {
    response.writeHead(status, headers);
    response.end(JSON.stringify(body));
  };

async function take(count, each) {
  const found = [];
  for await (const one of each) {
    found.push(one);
    if (found.length === count) break;
  }
  return found;
}

test("it comes back after the last cursor whose changes were done with", async (t) => {
  const { url, asked } = await server(
    t,
    streams(`id: c0\n\ndata: ${change(1)}\n\ndata: ${change(2)}\nid: c2\n\ndata: ${change(3)}\n\n`),
    refuses(503, {}, { "Retry-After": "0" }),
    streams(`data: ${change(3)}\nid: c3\n\n`, false),
  );
  const found = await take(4, changes(url, { kinds: ["a b", "c"], token: "t" }));
  assert.deepEqual(found.map((one) => one.rev), [1, 2, 3, 3]);
  assert.deepEqual(asked.map((one) => one.headers["last-event-id"]), [undefined, "c2", "c2"]);
  assert.equal(asked[0].url, "/feed/stream?kinds=a+b%2Cc");
  assert.equal(asked[0].headers.authorization, "Bearer t");
});

test("an address may be relative to the page, and one that is none is thrown", async (t) => {
  const { url, asked } = await server(t, streams(`data: ${change(1)}\nid: c1\n\n`, false));
  await assert.rejects(take(1, changes("/feed")), TypeError);
  await assert.rejects(mirror("/feed").ready, TypeError);
  globalThis.location = { href: url.replace("/feed", "/shop/page") };
  t.after(() => delete globalThis.location);
  for (const given of ["/feed", "../feed/", new URL(`${url}?a=b`)]) await take(1, changes(given));
  assert.deepEqual(asked.map((one) => one.url), ["/feed/stream", "/feed/stream", "/feed/stream?a=b"]);
});

test("a refusal is thrown with its code and not tried again", async (t) => {
  const problem = { title: "this kind is not granted", code: "PT403", hint: "Name others." };
  const { url, asked } = await server(t, refuses(403, problem));
  await assert.rejects(take(1, changes(url)), (error) => {
    assert.ok(error instanceof FeedError);
    assert.deepEqual([error.status, error.code, error.message], [403, "PT403", problem.title]);
    return true;
  });
  assert.equal(asked.length, 1);
});

test("a token that is asked for is asked for again once when it has expired", async (t) => {
  const { url, asked } = await server(t, refuses(401), streams(`data: ${change(1)}\nid: c\n\n`));
  let tokens = 0;
  const token = async () => `t${++tokens}`;
  assert.equal((await take(1, changes(url, { token, minDelay: 1 }))).length, 1);
  assert.deepEqual(asked.map((one) => one.headers.authorization), ["Bearer t1", "Bearer t2"]);
  const never = await server(t, refuses(401));
  await assert.rejects(take(1, changes(never.url, { token, minDelay: 1 })), { status: 401 });
  assert.equal(never.asked.length, 2);
});

test("a reset is thrown unless somebody hears it", async (t) => {
  const text = `event: reset\ndata: {"reason": "pruned"}\n\nid: n0\n\ndata: ${change(9)}\nid: n\n\n`;
  const { url, asked } = await server(t, streams(text));
  await assert.rejects(take(1, changes(url, { cursor: "old" })), ResetError);
  const heard = [];
  const cursors = [];
  const options = {
    cursor: "old",
    onReset: (reason) => void heard.push(reason),
    onCursor: (cursor) => void cursors.push(cursor),
  };
  assert.deepEqual((await take(2, changes(url, options))).map((one) => one.rev), [9, 9]);
  assert.deepEqual(heard, ["pruned", "pruned"]);
  assert.deepEqual(cursors, ["n0", "n", "n0"]);
  assert.equal(asked[2].headers["last-event-id"], "n");
});

test("silence ends a connection and it connects again", async (t) => {
  const { url, asked } = await server(
    t,
    streams("", false),
    streams(`data: ${change(1)}\nid: c\n\n`),
  );
  await take(1, changes(url, { silence: 200, minDelay: 1 }));
  assert.ok(asked.length >= 2);
});

test("an aborted signal ends it at once, also while it waits", async (t) => {
  const { url } = await server(t, streams(`data: ${change(1)}\nid: c\n\n`, false));
  const stop = new AbortController();
  const found = [];
  for await (const one of changes(url, { signal: stop.signal })) {
    found.push(one);
    stop.abort();
  }
  assert.equal(found.length, 1);
  const nobody = new AbortController();
  const onRetry = () => nobody.abort();
  const signal = nobody.signal;
  assert.deepEqual(await take(1, events("http://127.0.0.1:1", { signal, onRetry })), []);
});

test("a mirror shows its old state until a reset is whole", async (t) => {
  const first =
    `id: a0\n\ndata: ${change(1)}\n\ndata: ${change(2)}\nid: a\n\nevent: live\ndata: {}\n\n` +
    `data: ${change(3, { pub_id: "p1", deleted: true, payload: null })}\nid: b\n\n`;
  const reset = `event: reset\ndata: {"reason": "x"}\n\nid: c0\n\ndata: ${change(7)}\nid: c\n\n`;
  const { url, asked } = await server(
    t,
    streams(first),
    streams(reset),
    streams("event: live\ndata: {}\n\n", false),
  );
  const held = mirror(url);
  const seen = [];
  const all = new Promise((resolve) =>
    held.subscribe((changed, whole) => {
      seen.push([[...held].map(([id]) => id).join(), [...changed.keys()].join(), whole]);
      if (whole) resolve();
    }),
  );
  await all;
  assert.deepEqual(seen, [
    ["p1", "p1", false],
    ["p1,p2", "p2", false],
    ["p2", "p1", false],
    ["p7", "p7", true],
  ]);
  assert.equal(asked[2].headers["last-event-id"], "c");
  await held.close();
  assert.equal(held.get("p7").payload, 7);
});

test("a listener that throws is reported, and stops neither the mirror nor the others", async (t) => {
  const { url } = await server(
    t,
    streams(`event: live\ndata: {}\n\ndata: ${change(1)}\nid: c1\n\ndata: ${change(2)}\nid: c2\n\n`, false),
  );
  const reported = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => reported.push(error.message));
  const held = mirror(url);
  const told = [];
  await new Promise((resolve) => {
    held.subscribe((changed) => {
      throw new Error(`broken ${changed.size}`);
    });
    held.subscribe((changed) => told.push(...changed.keys()) === 2 && resolve());
  });
  await held.close();
  process.removeAllListeners("uncaughtException");
  others.forEach((other) => process.on("uncaughtException", other));
  assert.deepEqual([told, held.size], [["p1", "p2"], 2]);
  assert.deepEqual(reported, ["broken 1", "broken 1"]);
});

test("a mirror that is refused says so", async (t) => {
  const { url } = await server(t, refuses(404, { title: "kind is not defined", code: "PT404" }));
  const held = mirror(url);
  await assert.rejects(held.ready, { code: "PT404" });
  await assert.rejects(held.ended, { code: "PT404" });
});
