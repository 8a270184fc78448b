import type { ScreenProps } from "../../app/routes.ts";

export default function Incidents(_: ScreenProps) {
  return <h1>Incidents</h1>;
}
