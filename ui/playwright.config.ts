import { defineConfig } from "@playwright/test";

/** Debian's Chromium, installed by scripts/setup.sh: nothing is downloaded. */
const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  globalSetup: "./tests/global-setup.ts",
  // One server for all: what one test says to it, the next one sees, so they run in order.
  workers: 1,
  timeout: 30_000,
  expect: { timeout: 10_000 },
  reporter: process.env["CI"] ? "line" : "list",
  use: {
    // Set by the global set-up, which runs before the workers read this.
    baseURL: process.env["CONSOLE_URL"],
    launchOptions: { executablePath: chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] },
    locale: "en-GB",
    timezoneId: "America/New_York",
    viewport: { width: 1280, height: 900 },
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
  },
});
