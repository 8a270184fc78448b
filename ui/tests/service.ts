// The real program over the simulated shop, started once for all tests: weeks of history with faults, a second source
// that tests post to, alert rules, and a receiver of alerts.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createPort } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const DAY = 86_400_000;
const HISTORY_DAYS = 22;
const WINDOW_MILLIS = 900_000;
const PATIENCE_MILLIS = 150_000;

export interface Service {
  url: string;
  folder: string;
  stop: () => Promise<void>;
}

/** Builds nothing: `cargo build` has made the program, `scripts/console.sh test` sees to it. */
export async function startService(): Promise<Service> {
  const program = resolve(process.env["TIDEWATCH_BIN"] ?? "../target/debug/tidewatch");
  const folder = mkdtempSync(join(tmpdir(), "tidewatch-console-"));
  const receiver = await listen(createServer((request, response) => request.resume().on("end", () => response.end())));
  const port = Number(process.env["TIDEWATCH_PORT"]) || (await freePort());
  const listening = `127.0.0.1:${port}`;
  writeFileSync(join(folder, "tidewatch.toml"), config(listening, `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`));
  const child = spawn(program, ["run", "--config", "tidewatch.toml"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (data: Buffer) => (said += data.toString()));
  child.stderr.on("data", (data: Buffer) => (said += data.toString()));
  const stop = async () => {
    await ended(child);
    receiver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://${listening}`;
  try {
    await until(() => isReady(url, child));
  } catch (error) {
    await stop();
    throw new Error(`${String(error)}\n${said.slice(-4000)}`);
  }
  return { url, folder, stop };
}

function config(listening: string, receiver: string): string {
  const start = new Date(Math.floor((Date.now() - HISTORY_DAYS * DAY) / DAY) * DAY).toISOString();
  return `# The shop of the console's tests.
[server]
listen = "${listening}"

[store]
path = "shop.db"
durability = "normal"

[sources.shop]
kind = "simulated"
start = "${start}"
seed = 3
rate = 60
faults_per_week = 7

[sources.posts]
kind = "http"

[monitors.shop]
source = "shop"
timestamp = "event_time"
timezone = "Europe/Berlin"
interval = "15m"
dimensions = { country = "geo.country", device = "device" }
rollups = [[], ["country"], ["device"], ["country", "device"]]

[monitors.shop.measures]
views = { count = true, where = { type = "page_view" } }
carts = { count = true, where = { type = "add_to_cart" } }
orders = { count = true, where = { type = "purchase" } }
revenue = { sum = "order.total", where = { type = "purchase" }, unit = "EUR" }
conversion = { ratio = ["orders", "views"] }

[monitors.shop.detector]
severity = 70     # whom to wake is said below

[[monitors.shop.alerts]]
name = "everything serious"
severity = 80
to = ["ops", "broken"]

# Takes what tests post: a queue that must not be longer than 50.
[monitors.queue]
source = "posts"
timestamp = "at"
interval = "10s"
allowed_lateness = "0s"
dimensions = { shop = "shop" }

[monitors.queue.measures]
depth = { max = "depth", unit = "jobs", direction = "rise", detector = { kind = "threshold", upper = 50 } }
jobs = { count = true }

[[monitors.queue.alerts]]
severity = 70
to = ["ops"]

[notifiers.ops]
kind = "webhook"
url = "${receiver}"

[notifiers.broken]
kind = "webhook"
url = "http://127.0.0.1:9/nobody-listens-here"
`;
}

/** Ready when the shop has caught up with the clock. */
async function isReady(url: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`tidewatch ended with ${child.exitCode}`);
  try {
    const status = (await (await fetch(`${url}/api/v1/status`)).json()) as {
      monitors: { name: string; closed_through: string | null }[];
    };
    const shop = status.monitors.find(({ name }) => name === "shop");
    return Date.now() - Date.parse(shop?.closed_through ?? "") < WINDOW_MILLIS * 2;
  } catch {
    return false;
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MILLIS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`the shop has not caught up after ${PATIENCE_MILLIS / 1000} s`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((done) => {
    child.once("exit", () => done());
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 5_000).unref();
  });
}

const listen = (server: Server): Promise<Server> =>
  new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));

async function freePort(): Promise<number> {
  const server = createPort();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
