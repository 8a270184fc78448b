// The first file of the console: theme, styles, and the page in its place.

import "./shared/tokens.css";
import "./shared/base.css";
import "./app/shell.css";

import { render } from "preact";

import { App } from "./app/app.tsx";
import { startTheme } from "./shared/theme.ts";

startTheme();
const place = document.getElementById("app");
if (place) render(<App />, place);
