import type { Change } from "./events.js";

export interface Saved<T> {
  cursor: string;
  changes: Change<T>[];
}

/** Where a mirror is kept. `save` writes the changes and the cursor, both or neither. */
export interface Storage<T = unknown> {
  load(): Promise<Saved<T> | null>;
  save(cursor: string, changes: Change<T>[]): Promise<void>;
  clear(): Promise<void>;
}

const CHANGES = "changes";
const CURSOR = "cursor";

/** A browser's IndexedDB, under this name: one for each feed, set of kinds and reader.
 *
 * Tabs may share a name. One of them writes: who finds a cursor there that it did not write stops,
 * since it may be behind, and what it wrote would never be corrected. */
export function indexedDb<T = unknown>(name: string): Storage<T> {
  let opened: Promise<IDBDatabase> | null = null;
  let place: string | undefined; // the cursor that was read or written here last
  let writes = true;

  function open(): Promise<IDBDatabase> {
    opened ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(`pgpublish:${name}`, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(CHANGES, { keyPath: "pub_id" });
        request.result.createObjectStore(CURSOR);
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    return opened;
  }

  async function within(work: (changes: IDBObjectStore, cursor: IDBObjectStore) => void) {
    const transaction = (await open()).transaction([CHANGES, CURSOR], "readwrite");
    work(transaction.objectStore(CHANGES), transaction.objectStore(CURSOR));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  return {
    async load() {
      let cursor!: IDBRequest<string | undefined>;
      let changes!: IDBRequest<Change<T>[]>;
      await within((kept, at) => {
        cursor = at.get(CURSOR);
        changes = kept.getAll();
      });
      place = cursor.result;
      writes = true;
      return place === undefined ? null : { cursor: place, changes: changes.result };
    },
    async save(cursor, changes) {
      let found!: IDBRequest<string | undefined>;
      let fault: unknown;
      if (!writes) return;
      await within((kept, at) => {
        found = at.get(CURSOR);
        found.onsuccess = () => {
          if (found.result !== place) return;
          try {
            for (const change of changes) {
              if (change.deleted) kept.delete(change.pub_id);
              else kept.put(change);
            }
            at.put(cursor, CURSOR);
          } catch (error) {
            fault = error;
            found.transaction!.abort(); // what was put before would be committed
          }
        };
      }).catch((error) => {
        throw fault ?? error;
      });
      writes = found.result === place;
      place = cursor;
    },
    async clear() {
      await within((kept, at) => {
        kept.clear();
        at.clear();
      });
      place = undefined;
      writes = true;
    },
  };
}
