// What every screen must hold in both themes and on every width: no sideways scrolling, no complaint of the browser, no
// serious finding of axe. A screenshot of each is kept for people to look at.

import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";

const WIDTHS = [360, 1280, 2560];
const THEMES = ["light", "dark"];

/** Declares the test of one screen; `prepare` brings it into the state to look at. */
export function looksFine(name: string, address: string | (() => Promise<string>), prepare?: (page: Page) => Promise<void>): void {
  for (const theme of THEMES) {
    test(`${name} looks fine, ${theme}`, async ({ page }) => {
      const complaints: string[] = [];
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      await page.addInitScript((chosen) => localStorage.setItem("tidewatch-theme", chosen), theme);
      await page.goto(typeof address === "string" ? address : await address());
      await settled(page);
      await prepare?.(page);
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: width < 600 ? 780 : 1000 });
        await settled(page);
        const scroll = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(scroll, `sideways scrolling at ${width} px`).toBeLessThanOrEqual(0);
        await page.screenshot({ path: `screenshots/${name}-${width}-${theme}.png`, fullPage: true });
        // Contrast goes by theme and not by width, so the phone is looked at once.
        if (width > 2000 || (width < 600 && theme === "dark")) continue;
        const { violations } = await new AxeBuilder({ page }).analyze();
        const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(grave.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`), `axe at ${width} px`).toEqual([]);
      }
      expect(complaints).toEqual([]);
    });
  }
}

/** Nothing is being waited for, and the layout has come to rest. */
async function settled(page: Page): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.locator(".waiting")).toHaveCount(0);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}
