// Made once, and again after published/route.js has named the tag. FEED_URL: of pgpublish serve.

async function films() {
  const found = new Map(); // a key that changes while this reads is on two pages
  let page = { cursor: "", more: true };
  while (page.more) {
    const cursor = page.cursor ? `&cursor=${page.cursor}` : "";
    const answer = await fetch(`${process.env.FEED_URL}/changes?kinds=film${cursor}`, {
      cache: "force-cache",
      next: { tags: ["film"] },
    });
    if (!answer.ok) throw new Error(`the feed answers ${answer.status}`);
    page = await answer.json();
    if (page.reset) found.clear();
    for (const change of page.changes) {
      found.delete(change.pub_id);
      if (!change.deleted) found.set(change.pub_id, change);
    }
  }
  return [...found.values()];
}

export default async function Films() {
  const shown = await films();
  return (
    <ul>
      {shown.map(({ pub_id, payload }) => (
        <li key={pub_id}>{payload.title}</li>
      ))}
    </ul>
  );
}
