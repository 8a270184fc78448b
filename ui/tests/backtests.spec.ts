// A backtest on the stored past: run, watched, compared, its report opened.

import { expect, test } from "@playwright/test";

import { looksFine } from "./looks.ts";

test("a backtest is run with other settings, compared with what was told, and its report opened", async ({ page }) => {
  test.slow();
  await page.goto("/backtests");
  await page.getByRole("button", { name: "Run a backtest" }).click();
  await page.getByLabel("Monitor").selectOption("shop");
  await page.getByLabel("Time").selectOption("7 days");
  await page.getByLabel(/^Name/).fill("severity 90");
  await page.getByLabel("with other settings").check();
  const text = page.getByLabel("Settings as TOML");
  await text.fill((await text.inputValue()).replace("severity = 80", "severity = 90"));
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const row = page.getByRole("listitem").filter({ hasText: "severity 90" });
  await expect(row.getByRole("link", { name: "Report" })).toBeVisible({ timeout: 60_000 });

  const opened = page.waitForEvent("popup");
  await row.getByRole("link", { name: "Report" }).click();
  const report = await opened;
  await expect(report.locator("body")).toContainText("shop");
  await report.close();

  await row.getByRole("checkbox").check();
  await page.getByRole("link", { name: "Compare with what really was told" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(/really/);
  await page.goBack();
  await row.getByRole("link", { name: "severity 90" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("in the backtest “severity 90” of shop");
});

looksFine("backtests", "/backtests");
