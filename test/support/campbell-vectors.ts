import vectors from '#adapters/campbell/fixtures/vectors.json' with { type: 'json' };
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import type { Dialect } from '#adapters/campbell/wire-commands.ts';
import { programText } from '#test/support/campbell.ts';

export type Pair = readonly [string, unknown];

/** One exchange of the protocol page, for loggers of one dialect. */
export interface Exchange {
  readonly name: string;
  readonly dialect: Dialect;
  /** Topic and payload of the command; URLs point to `https://a.example`. */
  readonly cc: Pair;
  /** A command that must have gone before it. */
  readonly before: Pair | null;
  readonly logger: LoggerSetUp;
  /** All that is said on `state` and `cr`, in order; null where the page gives the last word only. */
  readonly all: readonly Pair[] | null;
  /** The last word on `cr`: null for silence. */
  readonly last: Pair | null;
}

export type LoggerSetUp = Pick<CampbellSimOptions, 'model' | 'serial' | 'address' | 'os' | 'dialect'> & Partial<CampbellSimOptions>;

interface Vector {
  readonly name: string;
  readonly tag?: 'MAN' | 'PEER' | 'V2';
  readonly cc: Pair;
  readonly expect?: readonly Pair[];
  readonly final?: Pair | null | object;
  readonly finalTopic?: string;
  readonly finalTopicAnyOf?: readonly string[];
}

/** Vector E of §6.3: it names the base topic and the client id that the logger has. */
const CONFIG = '002000100000000563732f7632000a0000000d435231303030585f37303638310000';

/** The files of `https://a.example`. */
export const FILES: Readonly<Record<string, Uint8Array>> = {
  'CR1000X.obj': buildOsImage({ model: 'CR1000X', version: '8.2.1' }),
  'CR6.obj': buildOsImage({ model: 'CR6', version: '14.2.0' }),
  'page.html': Buffer.from('<!DOCTYPE html><html></html>'),
  't.crb': programText('t'),
  'Data0xB6.crb': programText('Data0xB6'),
  'mqttCfg.bin': Buffer.from(CONFIG, 'hex'),
};

/** Its CRC-32 is the one of the page's example. */
const HASH_IT_OUT = Buffer.concat([Buffer.from("'HashItOut "), Buffer.from('48046ce7', 'hex')]);
const ONLINE = { clientId: 'CR1000X_70681', state: 'online' };

function observed(dialect: Dialect): LoggerSetUp {
  return {
    model: 'CR1000X',
    serial: '70681',
    address: 'QU8Q-9JTY-HVP8',
    os: 'CR1000X.8.1.0',
    dialect,
    // The page has what was observed, with the slash; loggers of v2 say the same on their own topic.
    trailingSlash: true,
    retainState: false,
    program: { name: 'met_v1.CR1X', bytes: programText('met_v1') },
  };
}

const LEGACY: LoggerSetUp = {
  model: 'CR6',
  serial: '966',
  address: 'cr6/ABCDEF',
  os: 'CR6.10.02.2020.12.14.0955',
  dialect: 'legacy',
  program: { name: 'simple.CR6', bytes: programText('simple') },
  files: { 'WatchdogInfo.txt': new Uint8Array() },
  settings: { PakBusAddress: '3' },
};

const DOCUMENTED: LoggerSetUp = {
  model: 'CR1000X',
  serial: '70021',
  address: 'ABCD-EFGH-1234',
  os: 'CR1000X.8.2.1',
  dialect: 'v2',
  program: { name: 'DidleyData.CRB', bytes: programText('DidleyData') },
  files: { 'HashItOut.crb': HASH_IT_OUT },
};

function ofVector(vector: Vector): readonly Exchange[] {
  const { name, cc, tag } = vector;
  const before: Pair | null =
    name === 'delete-ok' ? ['cs/v2/cc/QU8Q-9JTY-HVP8/program', { url: 'https://a.example/t.crb', fileName: 't.crb' }] : null;
  const loggers = tag === 'MAN' ? [LEGACY] : tag === 'V2' ? [DOCUMENTED] : [observed('os80'), observed('v2')];
  return loggers.map((logger) => {
    const all = vector.expect === undefined ? null : [...vector.expect, ...(name === 'mqttconfig-ok' ? [lastOnline(logger)] : [])];
    return { name, dialect: logger.dialect ?? 'os80', cc, before, logger, all, last: lastWord(vector) };
  });
}

/** After the answer to mqttConfig the log of §14 ends; §7 says what follows. */
function lastOnline(logger: LoggerSetUp): Pair {
  return [`cs/v2/state/${logger.address}/`, ONLINE];
}

function lastWord({ final, finalTopic, finalTopicAnyOf = [], expect = [] }: Vector): Pair | null {
  if (finalTopic !== undefined) return [finalTopic, { success: 'Program loaded successfully' }];
  if (Array.isArray(final)) return [String(final[0]), final[1]];
  const [, second] = finalTopicAnyOf;
  if (second !== undefined) return [second, final];
  return expect.findLast(([topic]) => topic.includes('/cr/')) ?? null;
}

/** What the manual says of the old dialect (docs/protocols/campbell-mqtt.md §1.3, §3.1, §5.5, §5.6): acknowledged on `state`. */
const LEGACY_EXCHANGES: readonly (readonly [string, string, unknown, readonly unknown[]])[] = [
  [
    'os-ok, legacy',
    'OS',
    { url: 'https://a.example/CR6.obj' },
    [
      { state: 'online', fileTransfer: 'OS file download' },
      { state: 'online', fileTransfer: 'Flashing OS' },
      { state: 'offline', reason: 'OS update' },
      { state: 'online' },
    ],
  ],
  [
    'OS with a bad URL, legacy',
    'OS',
    { url: 'fakeurl' },
    [
      ...Array.from({ length: 3 }, () => ({ state: 'online', fileTransfer: 'OS file download' })),
      { state: 'online', fileTransfer: 'OS Download Failed' },
    ],
  ],
  [
    'program, legacy',
    'program',
    { url: 'https://a.example/t.crb', fileName: 't.crb' },
    [
      { state: 'online', fileTransfer: 'CRBasic file transfer started' },
      { state: 'online', fileTransfer: 'Loading CRBasic file' },
      { state: 'online' },
    ],
  ],
  [
    'program with a bad URL, legacy',
    'program',
    { url: 'x/t.crb', fileName: 't.crb' },
    [
      { state: 'online', fileTransfer: 'CRBasic file transfer started' },
      { state: 'online', fileTransfer: 'CRBasic file transfer error' },
    ],
  ],
  [
    'delete, legacy',
    'fileControl',
    { action: 'Delete', fileName: 'WatchdogInfo.txt' },
    [{ state: 'online', fileTransfer: 'File Has Been Deleted' }],
  ],
  [
    'delete of nothing, legacy',
    'fileControl',
    { action: 'delete', fileName: 'x' },
    [{ state: 'online', fileTransfer: 'File Does Not Exist' }],
  ],
  ['setting, legacy', 'setting', { action: 'set', name: 'PakBusAddress', value: '4' }, [{ state: 'Set Setting Succeeded' }]],
  ['applying, legacy', 'setting', { apply: 'true' }, [{ state: 'Applying Settings' }]],
  ['reboot, legacy', 'reboot', { action: 'reboot' }, [{ state: 'online', fileTransfer: 'Rebooting Datalogger' }, { state: 'online' }]],
];

function ofLegacy([name, command, payload, states]: (typeof LEGACY_EXCHANGES)[number]): Exchange {
  const all = states.map((state): Pair => ['cs/v2/state/cr6/ABCDEF/', { clientId: 'CR6_966', ...(state as object) }]);
  return { name, dialect: 'legacy', cc: [`cs/v2/cc/cr6/ABCDEF/${command}`, payload], before: null, logger: LEGACY, all, last: null };
}

/** The vectors of §14, each in the dialects that it belongs to, and what is documented of the legacy dialect. */
export const EXCHANGES: readonly Exchange[] = [
  ...(vectors.vectors as unknown as readonly Vector[]).flatMap(ofVector),
  ...LEGACY_EXCHANGES.map(ofLegacy),
];

/** What counts of all that was said: not the reports at program start. */
export function isWord(topic: string): boolean {
  return /\/(state|cr)\//.test(topic) && !/\/(statusInfo|watchdogEvent)$/.test(topic);
}
