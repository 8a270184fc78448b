// Keys that work now, and the one language of severities.

import { activeKeys } from "../shared/keys.ts";
import { Dialog } from "../shared/parts.tsx";
import { BANDS, Shape } from "../shared/severity.tsx";

export function Help({ onClose }: { onClose: () => void }) {
  const keys = activeKeys();
  return (
    <Dialog title="Keys and severities" onClose={onClose}>
      <dl class="keys">
        {keys.map(({ key, does }) => (
          <div>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <h3>What a severity means</h3>
      <ul class="bands">
        {BANDS.map(([word, from], index) => (
          <li>
            <Shape of={word} /> {from}–{index === 0 ? 100 : (BANDS[index - 1]?.[1] ?? 100) - 1} {word}
          </li>
        ))}
      </ul>
      <p class="soft">
        The same number means the same rarity everywhere: 70 comes by chance about once a week on one series, 80 about
        once in ten weeks, 90 about once in a hundred.
      </p>
    </Dialog>
  );
}
