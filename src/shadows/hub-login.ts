import { HOUR_MS, SECOND_MS } from '#kit/duration.ts';
import { makeSas } from '#kit/sas.ts';

/** How long a token of a simulated device is good; the hub cuts it off then, and it comes back with a new one. */
const TOKEN_LIFE_MS = 24 * HOUR_MS;

/** How a simulated device shows itself to an Azure IoT hub (docs/protocols/shadow-devices.md §8.1). */
export interface HubLogin {
  /** What the hub is called in user names and tokens. */
  readonly hostName: string;
  /** The device's own, base64; null for one that shows a certificate, or to a hub that asks nobody. */
  readonly key: string | null;
}

/** The hub of a simulated world. */
export const WORLD_HUB: HubLogin = { hostName: 'hub.sim', key: null };

/** A token for the device alone (§8.4), made at `now` (ms since 1970); null without a key. */
export function hubPassword({ hostName, key }: HubLogin, device: string, now: number): string | null {
  if (key === null) return null;
  const expiry = Math.floor((now + TOKEN_LIFE_MS) / SECOND_MS);
  return makeSas({ resource: `${hostName}/devices/${device}`, key, expiry, policy: null });
}
