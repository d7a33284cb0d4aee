import assert from "node:assert/strict";
import { test } from "node:test";
import { Blocks } from "../dist/lines.js";

const TEXT =
  'retry: 700\n\n:\n\nid: 1.a.5.0\n\ndata: {"rev": 1}\n\ndata: {"t": "ü\\n"}\nid: 1.a.5.5\n\n' +
  'event: live\ndata: {"cursor": "x"}\n\ndata\ndata: two\nnew: field\n\nid: not told';
const WANT = [
  { retry: 700 },
  { id: "1.a.5.0" },
  { data: '{"rev": 1}' },
  { data: '{"t": "ü\\n"}', id: "1.a.5.5" },
  { event: "live", data: '{"cursor": "x"}' },
  { data: "\ntwo" },
];

for (const [name, end] of Object.entries({ LF: "\n", CRLF: "\r\n", CR: "\r" })) {
  test(`blocks are the same wherever the text is cut, lines ended by ${name}`, () => {
    const text = TEXT.replaceAll("\n", end);
    for (let size = 1; size <= text.length; size++) {
      const blocks = new Blocks();
      const found = [];
      for (let at = 0; at < text.length; at += size) {
        found.push(...blocks.push(text.slice(at, at + size)));
      }
      assert.deepEqual(found, WANT, `pieces of ${size}`);
    }
  });
}
