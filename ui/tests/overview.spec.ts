// The overview: one look says whether anything is wrong and whether that can be trusted.

import { expect, test } from "@playwright/test";

import { overflow } from "./console.ts";
import { looksFine } from "./looks.ts";

test("says what is wrong now, what is read, what is learned and what alerts may cost", async ({ page }) => {
  await overflow("south");
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/now$/);
  await expect(page.getByRole("region", { name: "Open incidents" })).toContainText("Depth");
  await expect(page.getByRole("region", { name: "Sources" })).toContainText("simulated");
  await expect(page.getByRole("region", { name: "Alert budget" })).toContainText("false alarms in 28 days");
  await expect(page.getByRole("region", { name: "Learning" })).toContainText("queue");
});

test("lanes show when and where, and lead to the incidents", async ({ page }) => {
  await page.goto("/?by=country&hours=672");
  const lanes = page.getByRole("region", { name: "When and where" });
  await expect(lanes.getByText("DE", { exact: true })).toBeVisible();
  const run = lanes.getByRole("link", { name: /^All: up to 1?\d\d critical/ }).first();
  await run.click();
  await expect(page).toHaveURL(/\/incidents\?.*from=/);
  await expect(page.locator(".row").first()).toBeVisible();
});

test("the theme is chosen and kept", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("radio", { name: "Dark" }).check();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

looksFine("overview", "/?hours=168");
