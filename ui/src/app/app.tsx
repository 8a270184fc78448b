// The frame of every page: navigation, status, the screen, and the dialogs that belong to no screen.

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { chart } from "../screens/incident/index.tsx";
import { onTokenWanted } from "../shared/api.ts";
import { type Binding, useKeys } from "../shared/keys.ts";
import { Failure } from "../shared/parts.tsx";
import { followLinks, go, type Place, usePlace } from "../shared/router.ts";
import { StatusProvider } from "../shared/status.tsx";
import { Help } from "./help.tsx";
import { moved, routeOf, type ScreenProps } from "./routes.ts";
import { Shell } from "./shell.tsx";
import { TokenDialog } from "./token.tsx";

interface Shown {
  screen: ComponentType<ScreenProps>;
  place: Place;
  id: string | undefined;
  title: string;
}

const old = moved(location);
if (old) history.replaceState(null, "", old);

export function App() {
  const place = usePlace();
  const [shown, failed] = useScreen(place);
  const [help, setHelp] = useState(false);
  const [answer, setAnswer] = useState<((token: string | null) => void) | null>(null);

  useEffect(() => {
    document.addEventListener("click", followLinks);
    onTokenWanted(() => new Promise((done) => setAnswer(() => done)));
    return () => document.removeEventListener("click", followLinks);
  }, []);

  // What is opened next, once there is nothing else to do.
  useEffect(() => {
    const timer = setTimeout(() => void chart(), 1_000);
    return () => clearTimeout(timer);
  }, []);

  const jump = (key: string, path: string, name: string): Binding => ({ key, does: `go to ${name}`, run: () => go(path) });
  useKeys([
    { key: "?", does: "show these keys", run: () => setHelp(true) },
    jump("o", "/", "the overview"),
    jump("i", "/incidents", "incidents"),
    jump("e", "/explorer", "the explorer"),
  ]);

  const Screen = shown?.screen;
  return (
    <StatusProvider>
      <Shell path={place.path} onHelp={() => setHelp(true)}>
        {failed && <Failure error={failed} retry={() => location.reload()} />}
        {Screen && !failed && <Screen key={shown.title + (shown.id ?? "")} place={shown.place} id={shown.id} />}
      </Shell>
      {help && <Help onClose={() => setHelp(false)} />}
      {answer && (
        <TokenDialog
          onAnswer={(token) => {
            setAnswer(null);
            answer(token);
          }}
        />
      )}
    </StatusProvider>
  );
}

/** The screen of a place. While a new one is fetched, the one before stays. */
function useScreen(place: Place): [Shown | undefined, (Error & { status: number }) | undefined] {
  const [shown, setShown] = useState<Shown>();
  const [failed, setFailed] = useState<Error & { status: number }>();
  const screens = useRef(new Map<string, ComponentType<ScreenProps>>());
  const found = routeOf(place.path);
  const title = found?.route.title ?? "";
  const known = screens.current.get(title);

  useEffect(() => {
    let wanted = true;
    setFailed(undefined);
    document.title = title ? `${title} – Tidewatch` : "Tidewatch";
    if (!found) {
      setFailed(Object.assign(new Error(`There is no page ${place.path} here.`), { status: 404 }));
      return;
    }
    if (known) return;
    found.route.load().then(
      ({ default: screen }) => {
        screens.current.set(title, screen);
        if (wanted) setShown({ screen, place, id: found.id, title });
      },
      () => wanted && setFailed(Object.assign(new Error("This page could not be loaded from the server."), { status: 0 })),
    );
    return () => {
      wanted = false;
    };
  }, [place.path]);

  return [known ? { screen: known, place, id: found?.id, title } : shown, failed];
}
