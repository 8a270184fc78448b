// The configuration files, read again after somebody changed them by hand.

import { useState } from "preact/hooks";

import { ApiError, post } from "../../shared/api.ts";

const PATIENCE_MILLIS = 60_000;

export function Reload() {
  const [said, setSaid] = useState("");
  const [isBusy, setBusy] = useState(false);
  const reload = async (): Promise<void> => {
    setBusy(true);
    setSaid("");
    try {
      const { error } = await post<{ error: string | null }>("reload", {}, undefined, PATIENCE_MILLIS);
      setSaid(error ? `Refused, what ran before goes on: ${error}` : "Read, and in force.");
    } catch (failure) {
      setSaid(`Refused, what ran before goes on: ${failure instanceof ApiError ? failure.message : String(failure)}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button type="button" disabled={isBusy} onClick={() => void reload()} title="After a change by hand of the files of the configuration">
        Read the files again
      </button>
      <span role="status" class="reload">{said}</span>
    </>
  );
}
