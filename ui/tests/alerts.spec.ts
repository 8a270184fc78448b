// Rules with their preview, notifiers with a real test, messages.

import { expect, test } from "@playwright/test";

import { looksFine } from "./looks.ts";

test("a rule says in words what it would have told", async ({ page }) => {
  await page.goto("/alerts");
  const rule = page.getByRole("listitem").filter({ hasText: "everything serious" }).first();
  await expect(rule).toContainText("Tells ops, broken from severity 80 serious");
  await rule.getByRole("button", { name: "What would it have told?" }).click();
  await expect(rule.locator(".sentence")).toContainText("It would have told");
  await rule.getByRole("button", { name: "30 days" }).click();
  await expect(page).toHaveURL(/days=30/);
  await expect(rule.locator(".sentence")).toContainText("It would have told");
});

test("the test button sends, and says so when it cannot", async ({ page }) => {
  await page.goto("/alerts");
  const notifiers = page.getByRole("region", { name: "Notifiers" }).getByRole("listitem");
  await notifiers.filter({ hasText: "ops" }).getByRole("button", { name: "Send a test" }).click();
  await expect(notifiers.filter({ hasText: "ops" })).toContainText("The test arrived.");
  await notifiers.filter({ hasText: "broken" }).getByRole("button", { name: "Send a test" }).click();
  await expect(notifiers.filter({ hasText: "broken" })).toContainText("The test did not arrive");
});

looksFine("alerts", "/alerts");
