import type { ScreenProps } from "../../app/routes.ts";

export default function Alerts(_: ScreenProps) {
  return <h1>Alerts</h1>;
}
