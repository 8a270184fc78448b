// Special times: entered, taken out, put back, imported.

import { expect, test } from "@playwright/test";

import { looksFine } from "./looks.ts";

test("a promotion is added, taken out and put back", async ({ page }) => {
  await page.goto("/calendar?monitor=shop");
  await page.getByRole("button", { name: "Add a special time" }).click();
  await page.getByLabel(/^Name;/).fill("spring newsletter");
  await page.getByLabel("Only country").fill("DE, FR");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByText("spring newsletter is in the calendar")).toBeVisible();
  const row = page.getByRole("listitem").filter({ hasText: "spring newsletter" });
  await expect(row).toContainText("in country DE, FR");
  await row.getByRole("button", { name: "Take spring newsletter out" }).click();
  await expect(row).toContainText("Taken out");
  await row.getByRole("button", { name: "Put spring newsletter back" }).click();
  await expect(row.getByRole("button", { name: "Take spring newsletter out" })).toBeVisible();
  await row.getByRole("button", { name: "Take spring newsletter out" }).click();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(row).toHaveCount(0);
});

test("a calendar file is imported", async ({ page }) => {
  const day = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "");
  const file = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:1", "SUMMARY:Stocktaking", `DTSTART:${day}T080000Z`, `DTEND:${day}T120000Z`, "END:VEVENT", "END:VCALENDAR", ""].join("\r\n");
  await page.goto("/calendar?monitor=shop");
  await page.getByRole("button", { name: "Import ICS" }).click();
  await page.getByLabel("or its text").fill(file);
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await expect(page.getByText("1 special time added")).toBeVisible();
  const row = page.getByRole("listitem").filter({ hasText: "Stocktaking" });
  await row.getByRole("button", { name: "Take Stocktaking out" }).click();
  await expect(row).toContainText("Taken out");
});

looksFine("calendar", "/calendar?monitor=shop");
