// The engineer: what is wrong, how bad, since when, where; then what was done about it.

import { expect, test } from "@playwright/test";

import { ask, overflow, worst } from "./console.ts";
import { looksFine } from "./looks.ts";
import type { IncidentDetail } from "../src/shared/types.ts";

test("from the overview the worst incident and its cause are three clicks away", async ({ page }) => {
  const [incident] = await worst();
  if (!incident) throw new Error("the shop has no incident from severity 80");
  await page.goto("/");
  await page.getByRole("link", { name: "All incidents" }).click();
  const row = page.locator(".row", { hasText: "critical" }).first();
  await row.getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(/expected/);
  await expect(page.getByRole("region", { name: "Where" })).toContainText(/All/);
  await expect(page.getByRole("region", { name: "Every measure here" })).toContainText(/as expected|%/);
  await page.getByRole("button", { name: /^why \d+\?$/ }).click();
  await expect(page.locator(".why")).toContainText("The most unusual window is that of");
});

test("the slider lets more through, says how many, and the address keeps it", async ({ page }) => {
  await page.goto("/incidents?monitor=shop");
  const rows = page.locator(".row");
  await expect(rows.first()).toBeVisible();
  const before = await rows.count();
  const slider = page.getByRole("slider", { name: "Severity from" });
  await slider.focus();
  for (let step = 0; step < 20; step += 1) await page.keyboard.press("ArrowLeft");
  await expect(page).toHaveURL(/severity=50/);
  await expect.poll(() => rows.count()).toBeGreaterThan(before);
  const shown = await rows.count();
  await page.goto(page.url());
  await expect(rows).toHaveCount(shown);
  await expect(page.getByText("50 slight", { exact: false }).first()).toBeVisible();
});

test("an empty list says why and offers a way out", async ({ page }) => {
  await page.goto("/incidents?monitor=shop&severity=100&state=open&kind=deviation");
  const empty = page.locator(".empty");
  await expect(empty).toBeVisible();
  await expect(empty).toContainText(/Lower the slider|Clear filters/);
});

test("keys walk through the list and open what is selected", async ({ page }) => {
  await page.goto("/incidents?severity=70&monitor=shop");
  await expect(page.locator(".row").first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const second = page.locator(".row").nth(1);
  await expect(second).toHaveAttribute("aria-current", "true");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/incidents\/shop-\d+$/);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("expected");
  const here = page.url();
  await page.keyboard.press("k");
  await expect(page).not.toHaveURL(here);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toContainText("give feedback");
});

test("feedback shows its effect before it is saved and is taken back", async ({ page }) => {
  const [incident] = await worst();
  await page.goto(`/incidents/${incident?.id}`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("expected");
  await page.keyboard.press("f");
  await page.getByRole("radio", { name: /^Expected/ }).check();
  const effect = page.locator(".effect");
  await expect(effect).toContainText(/Anomalous windows: \d|No stored window/, { timeout: 30_000 });
  await page.getByLabel("Cause, in a word").fill("newsletter");
  await page.getByRole("button", { name: "Save feedback" }).click();
  const given = page.getByRole("list", { name: "Feedback so far" });
  await expect(given).toContainText("newsletter");
  expect((await ask<IncidentDetail>(`incidents/${incident?.id}`)).label).toBe("expected");
  await given.getByRole("button", { name: "Undo" }).click();
  await expect(given).toContainText("taken back");
  expect((await ask<IncidentDetail>(`incidents/${incident?.id}`)).label).toBeNull();
});

test("a new incident is announced and moves nothing; it is acknowledged, muted, assigned and noted", async ({ page }) => {
  await page.goto("/incidents?severity=70");
  await expect(page.locator(".row").first()).toBeVisible();
  const ids = () => page.locator(".row").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["id"]));
  const before = await ids();
  await overflow("north");
  await expect(page.getByRole("button", { name: "1 new" })).toBeVisible();
  expect(await ids()).toEqual(before);
  await page.getByRole("button", { name: "1 new" }).click();
  await page.locator(".row", { hasText: "Depth" }).first().getByRole("link").click();

  await page.getByRole("button", { name: "Acknowledge" }).click();
  await expect(page.getByRole("button", { name: "Acknowledged" })).toBeVisible();
  await page.keyboard.press("m");
  await page.getByRole("button", { name: "for 1 hour" }).click();
  await expect(page.getByText(/^muted until/).first()).toBeVisible();
  await page.locator(".deeds").getByRole("button", { name: "More" }).click();
  await page.getByLabel("Your name, kept in this browser").fill("ana");
  await page.getByLabel("Assigned to").fill("ben");
  await page.getByRole("button", { name: "Assign", exact: true }).click();
  await expect(page.getByText("assigned to ben").first()).toBeVisible();
  await page.locator(".deeds").getByRole("button", { name: "More" }).click();
  await page.getByLabel("Note for the timeline").fill("restarted the workers");
  await page.getByRole("button", { name: "Add note" }).click();
  await expect(page.getByRole("region", { name: "Timeline" })).toContainText("restarted the workers by ana");
  await expect(page.getByRole("region", { name: "Timeline" })).toContainText("told ops");
});

test("when the server cannot be reached, what is shown stays and says since when it is old", async ({ page }) => {
  await page.goto("/incidents?severity=70");
  await expect(page.locator(".row").first()).toBeVisible();
  const shown = await page.locator(".row").count();
  await page.route("**/api/v1/incidents?**", (route) => route.abort());
  await overflow("east");
  await expect(page.getByText(/^Not renewed since/)).toContainText("No connection to the server.");
  await expect(page.locator(".row")).toHaveCount(shown);
  await page.unroute("**/api/v1/incidents?**");
  await expect(page.getByText(/^Not renewed since/)).toHaveCount(0);
});

test("without an answer the page says so and offers to try again", async ({ page }) => {
  await page.route("**/api/v1/incidents?**", (route) => route.abort());
  await page.goto("/incidents");
  await expect(page.getByRole("alert")).toContainText("No connection to the server.");
  await page.unroute("**/api/v1/incidents?**");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".row").first()).toBeVisible();
});

test("links of old alerts and of incidents that are gone are understood", async ({ page }) => {
  const [incident] = await worst();
  await page.goto(`/#incident=${incident?.id}`);
  await expect(page).toHaveURL(new RegExp(`/incidents/${incident?.id}$`));
  await page.goto("/incidents/shop-99999");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("No incident shop-99999 here");
});

looksFine("incidents", "/incidents?severity=50");
looksFine("incidents-empty", "/incidents?severity=100&state=open&monitor=shop");

test.describe("the incident page", () => {
  for (const [name, suffix] of [["incident", ""], ["incident-feedback", "?panel=feedback"], ["incident-why", "?panel=why"]] as const) {
    // Which incident it is is only known when the service runs.
    looksFine(name, async () => `/incidents/${(await worst())[0]?.id}${suffix}`);
  }
});
