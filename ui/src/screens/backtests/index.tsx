import type { ScreenProps } from "../../app/routes.ts";

export default function Backtests(_: ScreenProps) {
  return <h1>Backtests</h1>;
}
