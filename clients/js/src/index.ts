export { changes, events, FeedError, ResetError } from "./events.js";
export type { Change, Event, Options } from "./events.js";
export { mirror, Mirror } from "./mirror.js";
export type { MirrorOptions } from "./mirror.js";
export { indexedDb } from "./storage.js";
export type { Saved, Storage } from "./storage.js";
