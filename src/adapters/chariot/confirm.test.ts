import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { deviceId } from '#model/ids.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { readShadowDocument, type JsonObject } from '#model/shadow.ts';
import { confirmationOf } from './confirm.ts';
import { reportOf } from './reports.ts';

/** When the mailbox was written, in seconds of the service. */
const T = 1_767_225_600;

interface Told {
  readonly write: JsonObject;
  readonly leaves: JsonObject;
  readonly urls: JsonObject;
}

const BY_URL: Told = { write: { url: '{url}' }, leaves: {}, urls: { url: '{url}' } };
const BY_PLACE: Told = { write: { src: 'https://files/{version}' }, leaves: { src: 'https://files/2.0' }, urls: {} };

/** What a gateway that runs 1.0 says a minute later, and when it last named each key of its file. */
function reported({ write }: Told, file: JsonObject, times: Readonly<Record<string, number>>): ReportedDevice {
  const device = {
    id: deviceId('gw'),
    serial: null,
    model: 'gw',
    options: { firmware: { write } },
    items: [],
  } as unknown as DeclaredDevice;
  const stamps = Object.entries({ running: T - 900, ...times }).map(([name, at]) => [name, { timestamp: at }]);
  const document = readShadowDocument({
    state: { reported: { firmware: { ...file, running: '1.0' } } },
    metadata: { reported: { firmware: Object.fromEntries(stamps) as JsonObject } },
    version: 12,
  });
  if (document === null) throw new Error('no document');
  const sight = { thing: 'gw', document, source: 'get', connected: null, connectedSince: null } as const;
  const report = reportOf(device, undefined, { sight, open: true, now: T * 1000 + MINUTE_MS });
  if (report === undefined) throw new Error('nothing new');
  return report;
}

function opened({ leaves, urls }: Told): OpenOperation {
  const facts = {
    key: 'firmware',
    leaves,
    urls,
    proven: true,
    failed: [],
    agent: null,
    patienceMs: 30 * MINUTE_MS,
    lostAfterMs: 60 * MINUTE_MS,
  };
  const operation = { kind: 'change', item: 'firmware', declared: '2.0', expected: '1.0', facts };
  const undo = { version: 10, at: T * 1000, inverse: {}, expires: null, tries: 1, nudged: false };
  return {
    operation,
    attempt: 1,
    intendedAt: T * 1000,
    reference: T * 1000 - 1,
    takenAt: null,
    undo,
    retryAt: null,
    lastTrouble: null,
  } as unknown as OpenOperation;
}

describe('a service that is told where its file lies, and nothing else', () => {
  it.each<[string, Told, JsonObject, Readonly<Record<string, number>>]>([
    ['by a URL of each attempt', BY_URL, { url: 'https://files/a?attempt=1' }, { url: T + 5 }],
    ['by a place that the version names', BY_PLACE, { src: 'https://files/2.0' }, { src: T + 5 }],
  ])('installs once it has written that: %s', (_what, told, file, times) => {
    expect(confirmationOf(opened(told), reported(told, file, times))).toMatchObject({ kind: 'open', phase: 'VERIFYING' });
  });

  it.each<[string, Told, JsonObject, Readonly<Record<string, number>>]>([
    ['by a URL of each attempt', BY_URL, { url: 'https://files/old?attempt=3' }, { url: T - 900 }],
    ['by a place that the version names', BY_PLACE, { src: 'https://files/1.0' }, { src: T - 900 }],
  ])('has not taken it while its file is the old one: %s', (_what, told, file, times) => {
    expect(confirmationOf(opened(told), reported(told, file, times))).toMatchObject({ kind: 'trouble', code: 'SWALLOWED' });
  });
});
