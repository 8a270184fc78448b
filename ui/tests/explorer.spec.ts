// The analyst: one series, why a window was not flagged, an incident that was missed.

import { expect, type Page, test } from "@playwright/test";

import { looksFine } from "./looks.ts";

/** Drags over a part of the plot, in shares of its width. */
async function drag(page: Page, from: number, to: number): Promise<void> {
  const box = await page.locator(".u-over").boundingBox();
  if (!box) throw new Error("there is no plot");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * to, y, { steps: 6 });
  await page.mouse.up();
}

test("a window that was not flagged is explained in words, and the link shows the same", async ({ page }) => {
  await page.goto("/explorer?monitor=shop&measure=orders&span=1d");
  await expect(page.locator(".chart-read")).toContainText("actual");
  const box = await page.locator(".u-over").boundingBox();
  await page.mouse.click((box?.x ?? 0) + (box?.width ?? 0) / 2, (box?.y ?? 0) + 80);
  const why = page.getByRole("region", { name: /Why (not )?flagged/ });
  await expect(why).toContainText("expected");
  const said = await why.locator(".sentence").textContent();
  await page.goto(page.url());
  await expect(why.locator(".sentence")).toHaveText(said ?? "");
});

test("a slice is picked as breadcrumbs, back goes back", async ({ page }) => {
  await page.goto("/explorer?monitor=shop&measure=orders");
  await page.getByLabel("country").selectOption("DE");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("country DE");
  await page.getByLabel("device").selectOption({ index: 1 });
  await expect(page.getByRole("heading", { level: 1 })).toContainText("device");
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).not.toContainText("device");
  await page.getByLabel("Week before").check();
  await expect(page.locator(".chart-read")).toContainText("a week before");
});

test("a missed incident is reported by dragging, and taken back", async ({ page }) => {
  await page.goto("/explorer?monitor=shop&measure=carts&span=1d");
  await expect(page.locator(".chart-read")).toContainText("actual");
  await drag(page, 0.3, 0.4);
  await page.getByRole("button", { name: "Report as missed" }).click();
  await page.getByLabel("Comment").fill("the search was slow");
  await page.getByRole("button", { name: "Report", exact: true }).click();
  await expect(page.getByText(/Reported\. \d/)).toBeVisible();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByText("Taken back")).toBeVisible();
});

test("a drag zooms, and all that is stored is drawn from few points", async ({ page }) => {
  await page.goto("/explorer?monitor=shop&measure=views&span=all");
  await expect(page.locator(".chart-read")).toContainText("zoom in to see each");
  await drag(page, 0.5, 0.55);
  await page.getByRole("button", { name: "Zoom in", exact: true }).last().click();
  await expect(page).toHaveURL(/from=/);
  await expect(page.locator(".chart-read")).not.toContainText("zoom in to see each");
});

test("the chart works by keyboard and as a table", async ({ page }) => {
  await page.goto("/explorer?monitor=shop&measure=orders&span=6h");
  const plot = page.getByRole("slider", { name: /orders/ });
  await expect(plot).toHaveAttribute("aria-valuetext", /expected/);
  await plot.focus();
  const last = await plot.getAttribute("aria-valuetext");
  await page.keyboard.press("ArrowLeft");
  await expect(plot).not.toHaveAttribute("aria-valuetext", last ?? "");
  await page.keyboard.press("Shift+ArrowLeft");
  await expect(page.getByRole("region", { name: "The marked range" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: /flagged/ })).toBeVisible();
  await page.getByText("Show as a table").click();
  await expect(page.getByRole("table")).toContainText("Actual");
});

looksFine("explorer", "/explorer?monitor=shop&measure=orders&slice.country=DE&week=1");
