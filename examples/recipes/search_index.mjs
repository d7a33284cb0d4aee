// A search index that is always what the feed says. The kind shows its key:
//
//     select publish_define('film', 'film_view', show_key => true);
//
//     npm install minisearch /path/to/clients/js      # built as clients/js/README.md says
//     node search_index.mjs URL      # a line in is a query, a line out its hits

import { createInterface } from "node:readline";
import MiniSearch from "minisearch";
import { changes } from "pgpublish";

const index = new MiniSearch({ fields: ["title"], storeFields: ["title"] });

async function follow(url) {
  const onReset = () => index.removeAll();
  for await (const { key, deleted, payload } of changes(url, { kinds: ["film"], onReset })) {
    if (index.has(key)) index.discard(key); // MiniSearch replaces nothing by itself
    if (!deleted) index.add({ id: key, title: payload.title });
  }
}

follow(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
for await (const query of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(index.search(query).map(({ id, title }) => ({ id, title }))));
process.exit(0);
