// Asks for the access token of a server that has one. It is kept until the browser is closed.

import { useState } from "preact/hooks";

import { Dialog } from "../shared/parts.tsx";

export function TokenDialog({ onAnswer }: { onAnswer: (token: string | null) => void }) {
  const [token, setToken] = useState("");
  return (
    <Dialog title="Access token" onClose={() => onAnswer(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onAnswer(token || null);
        }}
      >
        <p>
          This Tidewatch asks for its access token: the <code>token</code> under <code>[server]</code> in its
          configuration. It is kept until you close the browser.
        </p>
        <label class="field">
          <span>Token</span>
          <input type="password" autocomplete="off" value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        </label>
        <p class="actions">
          <button type="submit" class="primary">
            Continue
          </button>
        </p>
      </form>
    </Dialog>
  );
}
