// Settings: a threshold with its preview, the text with its line numbers, a new monitor from sample records.

import { expect, test } from "@playwright/test";

import { looksFine } from "./looks.ts";

test("a threshold is edited with a preview, saved, and comments stay", async ({ page }) => {
  test.slow();
  await page.goto("/monitors/shop");
  const effect = page.getByRole("region", { name: "What this would have done" });
  await expect(effect).toContainText("As they are, the settings opened");
  const severity = page.getByLabel("Severity of alerts.0 as a number");
  await severity.fill("70");
  await expect(effect).toContainText("These settings would have opened", { timeout: 30_000 });
  await expect(effect).toContainText("more than now; none of your confirmed ones is lost");
  await expect(effect.getByRole("heading", { name: /^Gained/ })).toBeVisible();
  await effect.getByRole("button", { name: "Save" }).click();
  await expect(effect).toContainText("Saved and in force.");
  await page.getByRole("button", { name: "TOML" }).click();
  const text = page.getByLabel("Settings as TOML");
  await expect(text).toHaveValue(/severity = 70\n/);
  await expect(text).toHaveValue(/# whom to wake is said below/);

  await text.fill((await text.inputValue()).replace(/severity = 70$/m, "severity = 80"));
  await expect(effect).toContainText("fewer than now", { timeout: 30_000 });
  await effect.getByRole("button", { name: "Save" }).click();
  await expect(effect).toContainText("Saved and in force.");
});

test("what is wrong in the text is said with its line, and cannot be saved", async ({ page }) => {
  await page.goto("/monitors/shop?view=toml");
  const text = page.getByLabel("Settings as TOML");
  const lines = (await text.inputValue()).split("\n");
  const line = lines.findIndex((one) => one.startsWith("interval")) + 1;
  await text.fill(lines.map((one, index) => (index + 1 === line ? 'interval = "15 apples"' : one)).join("\n"));
  await expect(page.getByRole("alert")).toContainText(`Line ${line}`);
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
  await page.getByRole("button", { name: "Discard changes" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("files that were changed by hand are read again", async ({ page }) => {
  await page.goto("/monitors");
  await page.getByRole("button", { name: "Read the files again" }).click();
  await expect(page.getByText("Read, and in force.")).toBeVisible({ timeout: 30_000 });
});

test("sample records become a proposed configuration", async ({ page }) => {
  await page.goto("/monitors");
  await page.getByRole("link", { name: "New monitor from sample records" }).click();
  const records = Array.from({ length: 40 }, (_, index) =>
    JSON.stringify({ time: new Date(Date.UTC(2026, 2, 3, 14, index)).toISOString(), country: index % 3 ? "DE" : "FR", type: index % 2 ? "view" : "buy", total: index }));
  await page.getByLabel(/^Records/).fill(records.join("\n"));
  await page.getByLabel("Name").fill("proposed");
  await page.getByRole("button", { name: "Propose" }).click();
  await expect(page.getByRole("region", { name: "What was found" })).toContainText("country");
  await expect(page.getByLabel("Settings as TOML")).toHaveValue(/\[monitors\.proposed\]/);
});

looksFine("monitors", "/monitors");
looksFine("monitor", "/monitors/shop");
