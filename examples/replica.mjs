// A webhook consumer that holds what the feed says, also after the database lost data.
//
//     WEBHOOK_SECRET=whsec_… node examples/replica.mjs PORT
//
// GET answers what it holds, as JSON. It keeps that in memory; yours keeps it in a database, in the
// transaction before the answer 204. The same in Python: replica.py. Node 18 or later, no packages.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const held = new Map(); // subject → its newest event, also a deletion: an older one may still come
let life = ""; // the highest that was seen

function take(event) {
  const itsLife = event.sequence.slice(0, 10);
  if (itsLife < life) return; // it was on its way since before the reset
  life = itsLife;
  if (event.type === "pgpublish.resynced") {
    for (const [subject, { sequence }] of held)
      if (sequence.slice(0, 10) < life) held.delete(subject); // born in the lost changes
  } else if (event.type !== "pgpublish.reset") {
    const old = held.get(event.subject);
    if (!old || old.sequence < event.sequence) held.set(event.subject, event);
  }
}

// As standardwebhooks.com says; its package does the same.
function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": given = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(at)) < 300)) return false;
  const right = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return given.split(" ").some((text) => {
    const signature = Buffer.from(text.replace(/^v1,/, ""), "base64");
    return signature.length === right.length && timingSafeEqual(signature, right);
  });
}

createServer(async (request, response) => {
  if (request.method === "GET") {
    const shown = [...held].filter(([, e]) => !e.deleted).map(([subject, e]) => [subject, e.data]);
    response.end(JSON.stringify(Object.fromEntries(shown)));
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (isSigned(request.headers, body)) {
    const events = JSON.parse(body);
    for (const event of Array.isArray(events) ? events : [events]) take(event);
    response.writeHead(204).end();
  } else {
    response.writeHead(401).end();
  }
}).listen(Number(process.argv[2]), "127.0.0.1");
