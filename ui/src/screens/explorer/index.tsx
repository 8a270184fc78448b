import type { ScreenProps } from "../../app/routes.ts";

export default function Explorer(_: ScreenProps) {
  return <h1>Explorer</h1>;
}
