// Requests. One way to ask, one way to fail: an `ApiError` whose message can be shown.

import type { Query } from "./router.ts";

const PATIENCE_MILLIS = 15_000;
const TOKEN = "tidewatch-token";

/** The server refused, could not be reached, or said what cannot be read. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
  ) {
    super(message);
  }
}

/** One of a query's values, or many of one name. */
export type Params = Query;

let askToken: (() => Promise<string | null>) | null = null;
let asking: Promise<string | null> | null = null;

/** Tells how to ask the viewer for the access token that a server may want. */
export function onTokenWanted(ask: () => Promise<string | null>): void {
  askToken = ask;
}

export function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return call<T>("GET", path, params, undefined, signal);
}

/** Work that the server needs longer for says with how much patience it is waited for. */
export function post<T>(path: string, body: unknown = {}, signal?: AbortSignal, patienceMillis?: number): Promise<T> {
  return call<T>("POST", path, {}, body, signal, patienceMillis);
}

export function put<T>(path: string, body: unknown, patienceMillis?: number): Promise<T> {
  return call<T>("PUT", path, {}, body, undefined, patienceMillis);
}

export function remove<T>(path: string): Promise<T> {
  return call<T>("DELETE", path, {});
}

/** The whole address of something of the API. */
export function url(path: string, params: Params = {}): string {
  const kept = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return `/api/v1/${path}${query ? `?${query}` : ""}`;
}

/** A response with a good status; asks for the token when the server wants one. A string or a file is sent as it is. */
export async function request(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN);
  let response = await send(method, address, body, token, signal);
  if (response.status === 401 && (await newToken(token))) {
    response = await send(method, address, body, sessionStorage.getItem(TOKEN), signal);
  }
  if (!response.ok) throw new ApiError(await reason(response), response.status);
  return response;
}

async function call<T>(
  method: string,
  path: string,
  params: Params,
  body?: unknown,
  signal?: AbortSignal,
  patienceMillis = PATIENCE_MILLIS,
): Promise<T> {
  const patience = AbortSignal.timeout(patienceMillis);
  const response = await request(method, url(path, params), body, signal ? AbortSignal.any([signal, patience]) : patience);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError("The server's answer was cut off.", response.status);
  }
}

async function send(method: string, address: string, body: unknown, token: string | null, signal?: AbortSignal) {
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const isAsItIs = typeof body === "string" || body instanceof Blob;
  if (body instanceof Blob) headers["Content-Type"] = body.type;
  else if (body !== undefined) headers["Content-Type"] = isAsItIs ? "text/plain" : "application/json";
  const text = body === undefined ? null : isAsItIs ? body : JSON.stringify(body);
  try {
    return await fetch(address, { method, headers, body: text, cache: "no-store", signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(slow ? "The server did not answer in time." : "No connection to the server.", 0);
  }
}

async function reason(response: Response): Promise<string> {
  try {
    const said = ((await response.json()) as { error?: unknown }).error;
    if (typeof said === "string") return said;
  } catch {
    // No JSON: the status has to do.
  }
  return `The server answered ${`${response.status} ${response.statusText}`.trim()}.`;
}

/** A server with a token wants it once per browser session. */
async function newToken(tried: string | null): Promise<boolean> {
  if (sessionStorage.getItem(TOKEN) !== tried) return true; // another request has asked meanwhile
  if (!askToken) return false;
  asking ??= askToken().finally(() => (asking = null));
  const token = await asking;
  if (token) sessionStorage.setItem(TOKEN, token);
  return Boolean(token);
}
