import { events, type Change, type Options } from "./events.js";
import type { Storage } from "./storage.js";

export interface MirrorOptions<T> extends Omit<Options, "cursor" | "signal"> {
  /** Keeps the mirror over restarts, such as indexedDb("shop"). */
  storage?: Storage<T>;
}

/** What changed, by pub_id; `all` after a reset. */
export type Listener<T> = (changed: ReadonlyMap<string, Change<T>>, all: boolean) => void;

/** A Map of pub_id to the newest change of each key that is not deleted. */
export class Mirror<T = unknown> {
  /** Resolves when the mirror first has all that there is; rejects when it cannot. */
  readonly ready: Promise<void>;
  /** Resolves when it was closed; rejects with FeedError when the server refuses. */
  readonly ended: Promise<void>;
  private told = 0;
  private held = new Map<string, Change<T>>();
  private readonly listeners = new Set<Listener<T>>();
  private readonly stop = new AbortController();

  constructor(
    private readonly url: string | URL,
    private readonly options: MirrorOptions<T> = {},
  ) {
    let live!: () => void;
    let fail!: (error: unknown) => void;
    this.ready = new Promise((resolve, reject) => ([live, fail] = [resolve, reject]));
    this.ended = this.run(live).then(
      () => fail(new Error("the mirror was closed")),
      (error) => {
        fail(error);
        throw error;
      },
    );
    // Who awaits neither is not ended by an unhandled rejection.
    this.ready.catch(() => {});
    this.ended.catch(() => {});
  }

  /** Another number whenever it holds something else. */
  get version(): number {
    return this.told;
  }
  get size(): number {
    return this.held.size;
  }
  get(pubId: string): Change<T> | undefined {
    return this.held.get(pubId);
  }
  has(pubId: string): boolean {
    return this.held.has(pubId);
  }
  values(): IterableIterator<Change<T>> {
    return this.held.values();
  }
  [Symbol.iterator](): IterableIterator<[string, Change<T>]> {
    return this.held.entries();
  }

  /** Calls listener after each change, or those of a reset at once; returns what ends that. */
  subscribe(listener: Listener<T>): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Ends it; what it holds stays. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.ended.catch(() => {});
  }

  private async run(live: () => void): Promise<void> {
    const saved = (await this.options.storage?.load()) ?? null;
    if (saved !== null) {
      for (const change of saved.changes) this.held.set(change.pub_id, change);
      this.told++;
    }
    // After a reset the old state is shown until the new one is whole.
    let next: Map<string, Change<T>> | null = null;
    let unsaved = new Map<string, Change<T>>();
    let place: string | undefined;
    const options = { ...this.options, cursor: saved?.cursor ?? null, signal: this.stop.signal };
    for await (const event of events<T>(this.url, options)) {
      place = event.cursor ?? place;
      if (event.type === "reset") {
        next = new Map();
        unsaved = new Map();
        place = undefined;
      } else if (event.type === "change") {
        this.apply(next ?? this.held, event.change);
        unsaved.set(event.change.pub_id, event.change);
        if (next === null) this.tell(new Map([[event.change.pub_id, event.change]]), false);
      } else if (event.type === "live") {
        if (next !== null) {
          this.held = next;
          next = null;
          await this.options.storage?.clear();
          unsaved = new Map(this.held);
          this.tell(this.held, true);
        }
        live();
      }
      // What followed a reset is kept at once, not with the next cursor.
      const ends = event.cursor !== undefined || event.type === "live";
      if (ends && place !== undefined && next === null) {
        await this.options.storage?.save(place, [...unsaved.values()]);
        unsaved = new Map();
      }
    }
  }

  private apply(held: Map<string, Change<T>>, change: Change<T>): void {
    if (change.deleted) held.delete(change.pub_id);
    else held.set(change.pub_id, change);
  }

  private tell(changed: ReadonlyMap<string, Change<T>>, all: boolean): void {
    this.told++;
    for (const listener of [...this.listeners]) {
      try {
        listener(changed, all);
      } catch (error) {
        // It is reported as what nobody caught; the mirror and the other listeners go on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** A Map that is always what the feed says. */
export function mirror<T = unknown>(url: string | URL, options?: MirrorOptions<T>): Mirror<T> {
  return new Mirror<T>(url, options);
}
