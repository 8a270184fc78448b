import { defineConfig } from "vite";

/** Where `npm run dev` sends what the server answers. */
const server = process.env["TIDEWATCH_URL"] ?? "http://127.0.0.1:8321";

export default defineConfig({
  server: { proxy: { "/api": server, "/metrics": server, "/health": server } },
  build: {
    target: "es2022",
    // The policy of the page allows no `data:` fonts or styles, and every file is cheap to serve.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
});
