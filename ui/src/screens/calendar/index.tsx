import type { ScreenProps } from "../../app/routes.ts";

export default function Calendar(_: ScreenProps) {
  return <h1>Calendar</h1>;
}
