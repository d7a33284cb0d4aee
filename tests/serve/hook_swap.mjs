// Says what a component shows when a change comes before its hook listens, and of another mirror.

import { createElement } from "react";
import { create } from "react-test-renderer";
import { useMirror } from "./use-mirror.js";

const holding = (...payloads) => ({
  version: 1,
  values: () => payloads.map((payload) => ({ payload })),
  subscribe: () => () => {},
});
const late = {
  ...holding(),
  subscribe: () => (Object.assign(late, holding("late"), { version: 2 }), () => {}),
};
const Notes = ({ held }) =>
  createElement("p", null, ...useMirror(held).map(({ payload }) => payload));
const settled = () => new Promise((resolve) => setTimeout(resolve, 100));
const root = create(createElement(Notes, { held: late }));
await settled();
console.log(JSON.stringify(root.toJSON().children));
root.update(createElement(Notes, { held: holding("other") }));
await settled();
console.log(JSON.stringify(root.toJSON().children));
process.exit(0);
