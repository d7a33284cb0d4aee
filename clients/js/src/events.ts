import { Blocks } from "./lines.js";

/** What is published of a key now. */
export interface Change<T = unknown> {
  rev: number;
  kind: string;
  pub_id: string;
  /** The source key, if the kind shows it. */
  key?: string;
  schema_version: number;
  deleted: boolean;
  /** Null if it is deleted. */
  payload: T | null;
  headers: Record<string, unknown> | null;
  created_at: string;
  updated_at: string;
}

/** `cursor`: where to go on once this event is done with; not each event has one. */
export type Event<T = unknown> =
  | { type: "change"; change: Change<T>; cursor?: string }
  /** Drop what was read: everything follows. */
  | { type: "reset"; reason: string; cursor?: string }
  /** All that there was has been told. */
  | { type: "live"; cursor?: string }
  /** Nothing for this reader, up to here. */
  | { type: "moved"; cursor: string };

export interface Options {
  /** Of an earlier event; none begins with everything. */
  cursor?: string | null;
  /** Only these; all that the reader may see, if left out. */
  kinds?: readonly string[];
  /** Asked for at each connection, if it is a function. */
  token?: string | (() => string | Promise<string>);
  signal?: AbortSignal;
  /** Called before each wait, with the milliseconds and what ended the connection. */
  onRetry?: (delay: number, cause: unknown) => void;
  /** Bounds of that wait, in milliseconds: 500 and 30,000. */
  minDelay?: number;
  maxDelay?: number;
  /** After so many milliseconds without a sign of life it connects again: 45,000. */
  silence?: number;
  /** Reads the JSON of an event; for numbers that a double cannot hold. */
  parse?: (text: string) => unknown;
  fetch?: typeof fetch;
}

/** The server refuses, and would again. `code` is a SQLSTATE such as PT403. */
export class FeedError extends Error {
  override name = "FeedError";
  constructor(
    message: string,
    readonly status: number,
    readonly code?: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** The cursor cannot go on: drop what was read, and begin without one. */
export class ResetError extends Error {
  override name = "ResetError";
}

class Interrupted extends Error {
  constructor(
    message: string,
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** Every event of a feed, for ever: interruptions are waited for, and read on from the cursor.
 *
 * Ends when `signal` is aborted. Throws FeedError when the server refuses. An event may come twice
 * after an interruption. */
export async function* events<T = unknown>(
  url: string | URL,
  options: Options = {},
): AsyncGenerator<Event<T>, void, undefined> {
  const wait = { least: options.minDelay ?? 500, failures: 0 };
  const most = options.maxDelay ?? 30_000;
  const address = streamOf(url, options.kinds);
  let cursor = options.cursor ?? null;
  let refused = false;
  while (!options.signal?.aborted) {
    let cause: unknown = new Interrupted("the server ended the stream");
    try {
      for await (const event of connection<T>(address, options, cursor, wait)) {
        wait.failures = 0;
        refused = false;
        if (event.type === "reset") cursor = null;
        yield event;
        if (event.cursor !== undefined) cursor = event.cursor;
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      if (error instanceof FeedError) {
        // A token that can be asked for again may only have expired.
        const fresh = error.status === 401 && typeof options.token === "function" && !refused;
        if (!fresh) throw error;
        refused = true;
      }
      cause = error;
    }
    if (options.signal?.aborted) return;
    const longest = Math.min(wait.least * 2 ** wait.failures, most);
    wait.failures += 1;
    let delay = longest / 2 + (Math.random() * longest) / 2;
    if (cause instanceof Interrupted && cause.retryAfter !== undefined) {
      delay = Math.max(delay, cause.retryAfter);
    }
    options.onRetry?.(delay, cause);
    await sleep(delay, options.signal);
  }
}

/** The changes of a feed, for ever, each key's newest state.
 *
 * Without `onReset` a reset throws ResetError, so that nobody goes on with what is gone. */
export async function* changes<T = unknown>(
  url: string | URL,
  options: Options & {
    onReset?: (reason: string) => void | Promise<void>;
    /** Where to go on, once all changes before it are done with. */
    onCursor?: (cursor: string) => void | Promise<void>;
  } = {},
): AsyncGenerator<Change<T>, void, undefined> {
  for await (const event of events<T>(url, options)) {
    if (event.type === "change") {
      yield event.change;
    } else if (event.type === "reset") {
      if (options.onReset === undefined) throw new ResetError(event.reason);
      await options.onReset(event.reason);
    }
    if (event.cursor !== undefined) await options.onCursor?.(event.cursor);
  }
}

async function* connection<T>(
  address: URL,
  options: Options,
  cursor: string | null,
  wait: { least: number },
): AsyncGenerator<Event<T>, void, undefined> {
  const stop = new AbortController();
  const abort = () => stop.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", abort);
  const silence = options.silence ?? 45_000;
  const silent = () => stop.abort(new Interrupted(`nothing came for ${silence} ms`));
  let timer = setTimeout(silent, silence);
  try {
    const response = await open(address, options, cursor, stop.signal);
    const blocks = new Blocks();
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      for (const block of blocks.push(decoder.decode(value, { stream: true }))) {
        if (block.retry !== undefined) wait.least = block.retry;
        const event = read<T>(block.event, block.data, block.id, options.parse ?? JSON.parse);
        if (event !== undefined) yield event;
      }
      timer = setTimeout(silent, silence);
    }
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
    stop.abort();
  }
}

/** A relative url is one of the page. Throws TypeError: no wait would help. */
function streamOf(url: string | URL, kinds: readonly string[] | undefined): URL {
  const address = new URL(url, globalThis.location?.href);
  address.pathname += address.pathname.endsWith("/") ? "stream" : "/stream";
  if (kinds !== undefined) address.searchParams.set("kinds", kinds.join(","));
  return address;
}

async function open(
  address: URL,
  options: Options,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  const token = typeof options.token === "function" ? await options.token() : options.token;
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (cursor !== null) headers["Last-Event-ID"] = cursor;
  const response = await (options.fetch ?? fetch)(address, { headers, signal, cache: "no-store" });
  if (response.ok && response.body !== null) return response;
  const problem = await response.json().catch(() => ({}));
  const title: string = problem.title ?? `the server answered ${response.status}`;
  if (response.status >= 500 || response.status === 429 || response.status === 408) {
    const after = Number(response.headers.get("Retry-After") ?? NaN);
    throw new Interrupted(title, Number.isFinite(after) ? after * 1000 : undefined);
  }
  throw new FeedError(title, response.status, problem.code, problem.hint);
}

function read<T>(
  name: string | undefined,
  data: string | undefined,
  id: string | undefined,
  parse: (text: string) => unknown,
): Event<T> | undefined {
  const place = id === undefined ? {} : { cursor: id };
  if (data === undefined) return id === undefined ? undefined : { type: "moved", cursor: id };
  if (name === undefined || name === "message") {
    return { type: "change", change: parse(data) as Change<T>, ...place };
  }
  const told = JSON.parse(data) as { reason?: string };
  if (name === "reset") return { type: "reset", reason: told.reason ?? "", ...place };
  if (name === "live") return { type: "live", ...place };
  return undefined; // of a later version
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
