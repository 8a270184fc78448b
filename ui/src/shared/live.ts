// Live updates: one stream for the whole page. Read with `fetch`, since an `EventSource` cannot send the token.
//
// While the stream cannot be had (too many viewers, a proxy that holds it back), listeners are called every few
// seconds instead, so that nothing on the page goes stale unnoticed. On every new connection all are called, since
// what happened in between was not heard.

import { request, url } from "./api.ts";

export type Topic = "incident" | "status";
export type LiveState = "connecting" | "live" | "polling";

const POLL_MILLIS = 5_000;
const SILENCE_MILLIS = 45_000; // three heartbeats
const listeners = new Set<{ topics: readonly Topic[]; call: (topic: Topic) => void }>();
const watchers = new Set<(state: LiveState) => void>();
let state: LiveState = "connecting";
let started = false;
const due = new Map<Topic, number>();

/** Calls when something of the topics changed, at most twice a second. */
export function onLive(topics: readonly Topic[], call: (topic: Topic) => void): () => void {
  const listener = { topics, call };
  listeners.add(listener);
  if (!started) {
    started = true;
    void run();
  }
  return () => void listeners.delete(listener);
}

/** How updates come now, and whenever that changes. */
export function onLiveState(call: (state: LiveState) => void): () => void {
  watchers.add(call);
  call(state);
  return () => void watchers.delete(call);
}

function become(next: LiveState): void {
  if (state === next) return;
  state = next;
  for (const watcher of watchers) watcher(state);
}

function tell(topic: Topic): void {
  if (due.has(topic)) return;
  due.set(
    topic,
    window.setTimeout(() => {
      due.delete(topic);
      for (const listener of [...listeners]) if (listener.topics.includes(topic)) listener.call(topic);
    }, 500),
  );
}

function tellAll(): void {
  tell("incident");
  tell("status");
}

const pause = (length: number) => new Promise((done) => setTimeout(done, length));

/** Resolves when somebody looks at the page. */
function looked(): Promise<void> {
  return new Promise((done) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

async function run(): Promise<never> {
  for (;;) {
    // A browser has few connections to one server, so a page in the background gives its own back.
    await looked();
    try {
      await stream(() => {
        become("live");
        tellAll(); // what happened before was not heard
      });
    } catch {
      // Tried again below.
    }
    if (document.hidden) continue;
    become("polling");
    for (let turn = 0; turn < 4 && !document.hidden; turn += 1) {
      await pause(POLL_MILLIS);
      tellAll();
    }
  }
}

async function stream(opened: () => void): Promise<void> {
  const control = new AbortController();
  const hide = () => document.hidden && control.abort();
  document.addEventListener("visibilitychange", hide);
  try {
    await read(control, opened);
  } finally {
    document.removeEventListener("visibilitychange", hide);
  }
}

async function read(control: AbortController, opened: () => void): Promise<void> {
  const response = await request("GET", url("stream"), undefined, control.signal);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  opened();
  let text = "";
  let watchdog = setTimeout(() => control.abort(), SILENCE_MILLIS);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => control.abort(), SILENCE_MILLIS);
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = /^event: ?(.*)$/m.exec(block)?.[1];
        if (event === "incident" || event === "status") tell(event);
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}
