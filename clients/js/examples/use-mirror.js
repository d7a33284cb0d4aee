// A React hook: what a mirror holds, rendered again with each change.
//
//     const films = mirror("https://shop.example/feed", { kinds: ["film"] }); // once, not in a component
//     function Films() {
//       return <ul>{useMirror(films).map(({ pub_id, payload }) => <li key={pub_id}>{payload.title}</li>)}</ul>;
//     }

import { useCallback, useRef, useSyncExternalStore } from "react";

/** The changes that the mirror holds: the same array until one changes. */
export function useMirror(held) {
  const shown = useRef(null);
  const subscribe = useCallback(
    (changed) =>
      held.subscribe(() => {
        shown.current = null;
        changed();
      }),
    [held],
  );
  const snapshot = () => (shown.current ??= [...held.values()]);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}
