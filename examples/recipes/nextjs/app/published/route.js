// Where pgpublish deliver posts: pages that use what changed are made again when somebody asks.

import { createHmac, timingSafeEqual } from "node:crypto";
import { revalidatePath, revalidateTag } from "next/cache";

// As standardwebhooks.com says; its package does the same.
function isSigned(headers, body) {
  const secret = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
  const [id, at, given] = ["id", "timestamp", "signature"].map((n) => headers.get(`webhook-${n}`));
  if (!(Math.abs(Date.now() / 1000 - Number(at)) < 300)) return false;
  const right = createHmac("sha256", secret).update(`${id}.${at}.`).update(body).digest();
  return (given ?? "").split(" ").some((text) => {
    const signature = Buffer.from(text.replace(/^v1,/, ""), "base64");
    return signature.length === right.length && timingSafeEqual(signature, right);
  });
}

export async function POST(request) {
  const body = await request.text();
  if (!isSigned(request.headers, body)) return new Response(null, { status: 401 });
  for (const { type, key } of [JSON.parse(body)].flat()) {
    if (type.startsWith("pgpublish.")) revalidatePath("/", "layout"); // after a reset: everything
    else revalidateTag(type, { expire: 0 });
    if (key) revalidateTag(`${type}-${key}`, { expire: 0 }); // of a subscription with key => true
  }
  return new Response(null, { status: 204 });
}
