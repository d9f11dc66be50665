import type { Json } from '#kit/canonical.ts';
import type { JsonObject } from '#model/shadow.ts';

export interface VectorService {
  readonly key: string;
  readonly format?: 'JSON' | 'SHELL' | 'PLAINTEXT';
  /** What its file holds from the beginning. */
  readonly value?: Json;
  readonly outkeys?: readonly string[];
  readonly ephemeral?: boolean;
  /** `throws`, or a number: numbers above it become it. */
  readonly validate?: 'throws' | number;
}

interface State {
  readonly desired?: Json;
  readonly reported?: Json;
}

export type Step =
  /** The reconciler writes, over HTTPS. */
  | { readonly tell: Json; readonly version?: number; readonly clientToken?: string }
  /** What the service tells the device of it. */
  | { readonly delta: Json; readonly version: number }
  /** The next publication of the device, all of it. */
  | { readonly says: 'get' | 'update'; readonly body: Json }
  | { readonly refused: 409 }
  /** What the reconciler reads, over HTTPS. */
  | { readonly document: State; readonly version: number }
  | { readonly file: string; readonly is: Json }
  | { readonly text: string; readonly is: string }
  | { readonly ran: string; readonly times: number }
  | { readonly posts: string; readonly value: JsonObject }
  | { readonly refetch: true }
  | { readonly off: true }
  | { readonly on: true }
  | { readonly silence: number }
  /** Another writer, whom nobody hears. */
  | { readonly unheard: JsonObject }
  /** The next answers of that name do not arrive, or late. */
  | { readonly loses: 'delta' }
  | { readonly late: 'delta' | 'accepted'; readonly ms: number }
  /** The reported section is lost, as by somebody else's write. */
  | { readonly forgets: JsonObject }
  /** The document is deleted, and begins again at version 1 two days later. */
  | { readonly deleted: true };

export interface GatewayVector {
  /** `A6` of §2.15, `F4` of §2.12. */
  readonly id: string;
  readonly note: string;
  readonly services: readonly VectorService[];
  /** The shadow when the device comes; none when left out. */
  readonly stored?: State & { readonly version: number };
  /** What the first fetch makes the device say is left to the steps; else it is passed over. */
  readonly fromStart?: boolean;
  readonly steps: readonly Step[];
}

/** Of the page's examples. */
export const THING = 'logger-07';

const TOKEN = { clientToken: `UPDATE:${THING}` };
export const MAILBOX_EMPTIED = { reported: {}, desired: null };
export const app = (value: Json): VectorService => ({ key: 'app', value });
export const update = (state: JsonObject, version: number): Step => ({ says: 'update', body: { ...TOKEN, state: state as Json, version } });
const SHELL_VALUE = {
  version: '2.0.1',
  channel: 'stable',
  retries: 3,
  ratio: 0.5,
  force: false,
  tags: ['a b', 'c'],
  none: [],
  net: { ntp: { host: '10.0.0.1' } },
  empty: '',
};
const firmware = { want: '2.0.1', url: 'https://fw.example/2.0.1.bin' };

/** docs/protocols/shadow-devices.md §2.15, against a real service. */
export const GATEWAY_EXAMPLES: readonly GatewayVector[] = [
  {
    id: 'A1',
    note: 'first contact, no shadow',
    services: [],
    fromStart: true,
    steps: [
      { says: 'get', body: { clientToken: `FETCH:${THING}` } },
      { says: 'update', body: { ...TOKEN, state: { reported: {} } } },
      { document: {}, version: 1 },
    ],
  },
  {
    id: 'A2',
    note: 'the firmware key, which a service without a file does not report',
    services: [{ key: 'firmware' }],
    stored: { reported: { firmware: {} }, version: 1 },
    steps: [
      { tell: { firmware }, version: 1, clientToken: 'r-1' },
      { delta: { firmware }, version: 2 },
      update({ reported: { firmware }, desired: null }, 2),
      { document: { reported: { firmware } }, version: 3 },
      { file: 'firmware', is: firmware },
      { ran: 'firmware', times: 1 },
    ],
  },
  {
    id: 'A3',
    note: 'its installer reports',
    services: [{ key: 'firmware', value: firmware }],
    stored: { reported: { firmware }, version: 3 },
    steps: [
      { posts: 'firmware', value: { running: '2.0.1', state: 'ok' } },
      update({ reported: { firmware: { running: '2.0.1', state: 'ok' } } }, 3),
      { document: { reported: { firmware: { ...firmware, running: '2.0.1', state: 'ok' } } }, version: 4 },
    ],
  },
  {
    id: 'A4',
    note: 'an unknown key only',
    services: [],
    stored: { reported: { other: 1 }, version: 5 },
    steps: [
      { tell: { nosuch: { a: 1 } } },
      { delta: { nosuch: { a: 1 } }, version: 6 },
      update(MAILBOX_EMPTIED, 6),
      { document: { reported: { other: 1 } }, version: 7 },
    ],
  },
  {
    id: 'A5',
    note: 'a sub-key is deleted',
    services: [app({ level: 3, name: 'n' })],
    stored: { reported: { app: { level: 3, name: 'n' } }, version: 8 },
    steps: [
      { tell: { app: { name: 'DELETE' } } },
      update({ reported: { app: { name: null } }, desired: null }, 9),
      { file: 'app', is: { level: 3 } },
      { document: { reported: { app: { level: 3 } } }, version: 10 },
    ],
  },
  {
    id: 'A6',
    note: 'a change while it was away, and a service without a file',
    services: [{ key: 'js', value: { fw: '2.0.0' } }, { key: 'nk' }],
    stored: { desired: { js: { fw: '3.0.0' } }, reported: { js: { fw: '2.0.0' } }, version: 41 },
    fromStart: true,
    steps: [
      { says: 'get', body: { clientToken: `FETCH:${THING}` } },
      update({ reported: { js: { fw: '3.0.0' }, nk: {} }, desired: null }, 41),
      { file: 'js', is: { fw: '3.0.0' } },
      { document: { reported: { js: { fw: '3.0.0' }, nk: {} } }, version: 42 },
    ],
  },
  {
    id: 'A7',
    note: 'livelock, which a fetch ends',
    services: [app({ level: 3 })],
    stored: { reported: { app: { level: 3 } }, version: 4 },
    steps: [
      { forgets: { app: null } },
      { tell: { app: { level: 3 } } },
      update(MAILBOX_EMPTIED, 6),
      { document: {}, version: 7 },
      { tell: { app: { level: 3 } } },
      update(MAILBOX_EMPTIED, 8),
      { document: {}, version: 9 },
      { refetch: true },
      { says: 'get', body: { version: 9, clientToken: `FETCH:${THING}` } },
      update({ reported: { app: { level: 3 } }, desired: null }, 9),
      { document: { reported: { app: { level: 3 } } }, version: 10 },
      { ran: 'app', times: 0 },
    ],
  },
  {
    id: 'A8',
    note: 'a conflict, and the same again after 3 s with the version of then',
    services: [app({ level: 3 })],
    stored: { reported: { app: { level: 3 } }, version: 69 },
    steps: [
      { unheard: { desired: { other: 1 } } },
      { unheard: { desired: { other: 2 } } },
      { posts: 'app', value: { level: 4 } },
      update({ reported: { app: { level: 4 } } }, 69),
      { refused: 409 },
      { tell: { other: null } },
      { silence: 2500 },
      update({ reported: { app: { level: 4 } } }, 72),
      { document: { reported: { app: { level: 4 } } }, version: 73 },
    ],
  },
  {
    id: 'A9',
    note: 'the text of a SHELL file',
    services: [{ key: 'sh', format: 'SHELL' }],
    stored: { reported: { sh: {} }, version: 1 },
    steps: [
      { tell: { sh: SHELL_VALUE } },
      {
        text: 'sh',
        is: `channel='stable'
empty=''
force='false'
net_ntp_host='10.0.0.1'
none=()
ratio='0.5'
retries='3'
tags=('a b' 'c')
version='2.0.1'
`,
      },
      update({ reported: { sh: SHELL_VALUE }, desired: null }, 2),
    ],
  },
  {
    id: 'A10',
    note: 'what a SHELL file makes of its values, after a fetch',
    services: [{ key: 'k', format: 'SHELL' }],
    stored: { reported: { k: {} }, version: 1 },
    steps: [
      { tell: { k: { version: '1.10', commit_timeout: 60 } } },
      update({ reported: { k: { version: '1.10', commit_timeout: 60 } }, desired: null }, 2),
      { document: { reported: { k: { version: '1.10', commit_timeout: 60 } } }, version: 3 },
      { refetch: true },
      { says: 'get', body: { version: 3, clientToken: `FETCH:${THING}` } },
      update({ reported: { k: { version: 1.1, commit_timeout: null, commit: { timeout: 60 } } }, desired: null }, 3),
      { document: { reported: { k: { version: 1.1, commit: { timeout: 60 } } } }, version: 4 },
    ],
  },
];
