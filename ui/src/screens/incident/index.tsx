import type { ScreenProps } from "../../app/routes.ts";

export default function Incident(_: ScreenProps) {
  return <h1>Incident</h1>;
}
