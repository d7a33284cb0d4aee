// Mirrors a feed and prints what it holds after each change, for a test of the whole way.
import { FeedError, mirror } from "../dist/index.js";

const [url, token, ...kinds] = process.argv.slice(2);
const options = { minDelay: 50, onRetry: (_, cause) => console.error(String(cause)) };
if (token) options.token = token;
if (kinds.length > 0) options.kinds = kinds;
const held = mirror(url, options);
const tell = () =>
  console.log(JSON.stringify(Object.fromEntries([...held].map(([id, one]) => [id, one.payload]))));
held.ready.then(tell, () => {});
held.subscribe(tell);
held.ended.catch((error) => {
  console.log(JSON.stringify({ status: error instanceof FeedError ? error.status : String(error) }));
  process.exit(1);
});
