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

/** A browser's IndexedDB, under this name: one for each feed, set of kinds and reader. */
export function indexedDb<T = unknown>(name: string): Storage<T> {
  let opened: Promise<IDBDatabase> | null = null;

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
    try {
      work(transaction.objectStore(CHANGES), transaction.objectStore(CURSOR));
    } catch (error) {
      transaction.abort(); // what was put before would be committed
      throw error;
    }
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
      return cursor.result === undefined ? null : { cursor: cursor.result, changes: changes.result };
    },
    save: (cursor, changes) =>
      within((kept, at) => {
        for (const change of changes) {
          if (change.deleted) kept.delete(change.pub_id);
          else kept.put(change);
        }
        at.put(cursor, CURSOR);
      }),
    clear: () =>
      within((kept, at) => {
        kept.clear();
        at.clear();
      }),
  };
}
