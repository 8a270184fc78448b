import type { ScreenProps } from "../../app/routes.ts";

export default function Overview(_: ScreenProps) {
  return <h1>Overview</h1>;
}
