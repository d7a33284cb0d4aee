// Says what a component shows that uses the hook: node hook.mjs URL

import { mirror } from "pgpublish";
import { createElement } from "react";
import { create } from "react-test-renderer";
import { useMirror } from "./use-mirror.js";

const held = mirror(process.argv[2], { kinds: ["note"] });
await held.ready;
let renders = 0;
function Notes() {
  renders++;
  return createElement("p", null, ...useMirror(held).map(({ payload }) => String(payload)));
}
const root = create(createElement(Notes));
let said;
setInterval(() => {
  const shown = JSON.stringify({ shown: root.toJSON()?.children?.toSorted() ?? [], renders });
  if (shown !== said) console.log((said = shown));
}, 10);
