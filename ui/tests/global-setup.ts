// Starts the service before the first test and stops it after the last.

import { startService } from "./service.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const service = await startService();
  process.env["TIDEWATCH_SERVICE"] = service.url;
  // While the console is worked on, it may come from Vite, which passes requests on to the service.
  process.env["CONSOLE_URL"] ??= service.url;
  return service.stop;
}
