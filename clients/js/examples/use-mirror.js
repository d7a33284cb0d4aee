// A React hook: what a mirror holds, rendered again with each change.
//
//     const films = mirror("https://shop.example/feed", { kinds: ["film"] }); // once, not in a component
//     function Films() {
//       return <ul>{useMirror(films).map(({ pub_id, payload }) => <li key={pub_id}>{payload.title}</li>)}</ul>;
//     }

import { useCallback, useRef, useSyncExternalStore } from "react";

/** The changes that the mirror holds: the same array until one changes. */
export function useMirror(held) {
  const shown = useRef({});
  const subscribe = useCallback((changed) => held.subscribe(changed), [held]);
  const snapshot = () => {
    const { of, version } = shown.current;
    if (of !== held || version !== held.version) {
      shown.current = { of: held, version: held.version, changes: [...held.values()] };
    }
    return shown.current.changes;
  };
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}
