// Made once, and again after published/route.js has named the tag. FEED_URL: of pgpublish serve.

async function films() {
  const found = [];
  let page = { cursor: "", more: true };
  while (page.more) {
    const cursor = page.cursor && `&cursor=${page.cursor}`;
    const answer = await fetch(`${process.env.FEED_URL}/changes?kinds=film${cursor}`, {
      cache: "force-cache",
      next: { tags: ["film"] },
    });
    if (!answer.ok) throw new Error(`the feed answers ${answer.status}`);
    page = await answer.json();
    found.push(...page.changes.filter((change) => !change.deleted));
  }
  return found;
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
