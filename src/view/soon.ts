import { DAY_MS } from '#kit/duration.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import { counted } from './words.ts';

export interface Soon {
  readonly at: Instant;
  readonly text: string;
}

const SOON_DAYS = 30;

/**
 * What ends within a month (certificates: within 90 days), what should have been looked at already, and the credentials of
 * devices that are retired and of `replaced` hardware. In order of time.
 */
export function soonOf(declared: Declared, at: Instant, replaced: readonly DeviceId[] = []): readonly Soon[] {
  const limit = at + SOON_DAYS * DAY_MS;
  const found: Soon[] = [];
  for (const { name, until, reviewBy } of declared.overrides) {
    if (until !== null && until >= at && until <= limit) found.push({ at: until, text: `override ${name} ends by itself` });
    if (reviewBy !== null && reviewBy <= limit) found.push({ at: reviewBy, text: `override ${name} is to be reviewed` });
  }
  for (let row = 0; row < declared.size; row += 1) {
    const device = declared.deviceAt(row);
    const { id, retiredFrom } = device;
    if (retiredFrom === null || retiredFrom > limit) continue;
    if (retiredFrom > at) found.push({ at: retiredFrom, text: `${id} retires` });
    else found.push(...toRevoke(declared, device, { at: retiredFrom, why: `${id} is retired`, replaced: false }));
  }
  for (const id of replaced) {
    const row = declared.rowOf(id);
    if (row !== undefined)
      found.push(...toRevoke(declared, declared.deviceAt(row), { at, why: `the hardware of ${id} was replaced`, replaced: true }));
  }
  return [...found, ...endingCertificates(declared, at)].toSorted((a, b) => a.at - b.at || compareText(a.text, b.text));
}

/** Whoever finds or steals a box that is no longer in use could still connect as the device. */
function toRevoke(
  declared: Declared,
  device: DeclaredDevice,
  { at, why, replaced }: { readonly at: Instant; readonly why: string; readonly replaced: boolean },
): readonly Soon[] {
  const credentials = declared.credentialsOf?.(device, replaced) ?? [];
  return credentials.length === 0 ? [] : [{ at, text: `${why}: revoke ${credentials.join(', ')}` }];
}

/** A certificate that ends is told of at three distances, so that a line that changed is seen in a plan. */
const CERTIFICATE_DAYS = [7, 30, 90] as const;

/** One line for each certificate, however many devices carry it. */
function endingCertificates(declared: Declared, at: Instant): readonly Soon[] {
  const found = new Map<string, { readonly name: string; readonly notAfter: Instant; devices: number }>();
  for (let row = 0; row < declared.size; row += 1) {
    for (const { certificates = [] } of declared.deviceAt(row).items) {
      for (const { name, notAfter } of certificates) {
        const entry = found.get(`${notAfter} ${name}`) ?? { name, notAfter, devices: 0 };
        entry.devices += 1;
        found.set(`${notAfter} ${name}`, entry);
      }
    }
  }
  return [...found.values()].flatMap(({ name, notAfter, devices }) => {
    const days = CERTIFICATE_DAYS.find((distance) => notAfter <= at + distance * DAY_MS);
    if (days === undefined) return [];
    const when = notAfter <= at ? 'has ended' : `ends within ${days} days`;
    return [{ at: notAfter, text: `certificate ${name} of ${counted(devices, 'device')} ${when}` }];
  });
}
