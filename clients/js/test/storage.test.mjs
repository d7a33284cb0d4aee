import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";
import { indexedDb } from "../dist/index.js";

const change = (rev, more = {}) => ({ rev, pub_id: `p${rev}`, deleted: false, ...more });

test("what was saved is there after it is opened again, without what was deleted", async () => {
  const storage = indexedDb("shop");
  assert.equal(await storage.load(), null);
  await storage.save("c1", [change(1), change(2)]);
  await storage.save("c2", [change(3, { pub_id: "p1", deleted: true }), change(4)]);
  const saved = await indexedDb("shop").load();
  assert.equal(saved.cursor, "c2");
  assert.deepEqual(saved.changes.map((one) => one.pub_id).sort(), ["p2", "p4"]);
  assert.equal(await indexedDb("other").load(), null);
  await storage.clear();
  assert.equal(await indexedDb("shop").load(), null);
});

test("of two tabs that share a name only one writes, so nothing older returns", async () => {
  await indexedDb("tabs").save("c10", [change(1, { pub_id: "a" }), change(2, { pub_id: "b" })]);
  const [ahead, behind] = [indexedDb("tabs"), indexedDb("tabs")];
  await ahead.load();
  await behind.load();
  await ahead.save("c80", [change(80, { pub_id: "a" }), change(81, { pub_id: "b", deleted: true })]);
  await behind.save("c50", [change(50, { pub_id: "a" }), change(51, { pub_id: "b" })]);
  await ahead.save("c90", [change(90, { pub_id: "c" })]);
  const saved = await indexedDb("tabs").load();
  assert.equal(saved.cursor, "c90");
  assert.deepEqual(saved.changes.map((one) => [one.pub_id, one.rev]).sort(), [["a", 80], ["c", 90]]);
  await ahead.clear(); // a reset
  await behind.save("c60", [change(60, { pub_id: "a" })]);
  assert.equal(await indexedDb("tabs").load(), null);
});

test("changes that cannot be stored move no cursor", async () => {
  const storage = indexedDb("whole");
  await storage.save("c1", [change(1)]);
  await assert.rejects(storage.save("c2", [change(2), { rev: 3, deleted: false }]));
  const saved = await storage.load();
  assert.deepEqual([saved.cursor, saved.changes.length], ["c1", 1]);
});
