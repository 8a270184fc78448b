import type { ScreenProps } from "../../app/routes.ts";

export default function Monitors(_: ScreenProps) {
  return <h1>Monitors</h1>;
}
