import { describe, expect, it } from 'vitest';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { families } from '#adapters/registry.ts';
import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { PassResult } from '#reconcile/report.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

const GATEWAY = 'gw-1';
const PLACE = { thing: GATEWAY, shadow: null };
const OLD: JsonObject = { apn: 'one.example', interval: 60, old: true };
const NEW: JsonObject = { apn: 'two.example', interval: 300, added: 1 };
const PASS_MS = 5 * MINUTE_MS;
const LONG_MS = 4 * HOUR_MS;

interface Written {
  readonly config?: JsonObject;
  readonly firmware?: string;
  /** Members of `options:`; the usual ones when left out. */
  readonly options?: string;
  readonly address?: string;
}

const AGENT = '{ serial: /device/serial, agent: agent, patience: 20m }';
const NO_AGENT = '{ serial: /device/serial, patience: 20m }';

/** A fleet of one gateway on AWS IoT: the real SDK writes and reads, chariotd is on MQTT. */
function files({ config = OLD, firmware = '1.0.0', options = AGENT, address = GATEWAY }: Written = {}): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: modes
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: modes, lasting: true }
connections:
  cloud: { type: aws-iot, region: eu-central-1, endpoint: 'https://aws.sim' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 4 }
`,
    'rollouts/whole.yaml':
      'kind: Rollout\nname: whole\nwaves: [{ name: all, gate: { soak: 5m } }]\nbudget: [{ max: 100% }]\nwindows: any\n',
    'devices/gw.yaml': `kind: Devices\nfamily: chariot\nvia: cloud\ndefaults: { model: gw2 }\ndevices: { ${GATEWAY}: { address: ${address}, serial: "4711" } }\n`,
    'artifacts/gateway.yaml':
      'kind: Artifact\nname: gateway\nitem: firmware\nfits: { family: chariot }\nversions: { 1.0.0: { from: files/1 }, 1.1.0: { from: files/2 }, "1.10": { from: files/2 } }\n',
    'groups/all.yaml': `kind: Group
name: all
select: all
options: ${options}
pins: { firmware: gateway@${firmware}, config: { layers: [files/config.json] } }
rollout: whole
silence: 3h
`,
    'files/1': 'image 1',
    'files/2': 'image 2',
    'files/config.json': JSON.stringify(config),
  };
}

interface Scene {
  readonly fleet: MemoryFleet;
  readonly gateway: SimDevice;
}

interface Mode {
  readonly id: string;
  readonly note: string;
  /** Of the group from the beginning. */
  readonly options?: string;
  readonly next: Written;
  /** How often it posts how it is: every ten minutes when left out. */
  readonly reportMs?: number;
  /** Before the change is merged. */
  begin?(scene: Scene): Promise<void> | void;
  /** After each pass since then, from 1 on. */
  after?(scene: Scene, pass: number): Promise<void> | void;
  /** Sections of the shadow once the first pass has acted, and a minute has gone by; what is left out is not looked at. */
  readonly seen?: Readonly<Record<string, unknown>>;
  /** Troubles on the way, in order. */
  readonly on?: readonly string[];
  /** The reason and the first word of its evidence, or `converged`. */
  readonly ends: string;
  readonly effects?: Readonly<Record<string, number>>;
}

function tell({ fleet }: Scene, state: object): void {
  fleet.sim.aws('cloud').shadows.update(PLACE, Buffer.from(JSON.stringify({ state })));
}

const fault =
  (name: string, value: Json = true) =>
  ({ gateway }: Scene): void =>
    gateway.fault(name, value);

const restarts =
  (at: number) =>
  async ({ fleet, gateway }: Scene, pass: number): Promise<void> => {
    if (pass !== at) return;
    await fleet.clock.run(gateway.powerOff());
    await fleet.clock.run(gateway.powerOn());
  };

const FROM_NEW = { config: NEW } as const;

/** docs/protocols/shadow-devices.md §2.12; F11 and F12 are refused before anything is sent. */
const MODES: readonly Mode[] = [
  {
    id: 'F1',
    note: 'a key without a service, reported by nobody',
    next: FROM_NEW,
    begin: (scene) => {
      scene.gateway.fault('unknownService', 'config');
      tell(scene, { reported: { config: null } });
    },
    seen: { desired: undefined, config: undefined },
    on: ['SWALLOWED', 'LIVELOCK'],
    ends: 'FAILED UNKNOWN_SERVICE',
    effects: { config: 0 },
  },
  {
    id: 'F1',
    note: 'a key whose service has gone, reported as it was',
    next: FROM_NEW,
    begin: fault('unknownService', 'config'),
    seen: { desired: undefined, config: OLD },
    on: ['SWALLOWED', 'LIVELOCK'],
    ends: 'FAILED REJECTED_BY_DEVICE',
  },
  {
    id: 'F2',
    note: 'validate throws',
    next: FROM_NEW,
    begin: fault('reject', 'config'),
    seen: { desired: undefined, config: OLD },
    on: ['SWALLOWED', 'LIVELOCK'],
    ends: 'FAILED REJECTED_BY_DEVICE',
    effects: { config: 0 },
  },
  {
    id: 'F3',
    note: 'validate clamps',
    next: FROM_NEW,
    begin: fault('clamp', 100),
    seen: { desired: undefined, config: { ...NEW, interval: 100 } },
    on: ['PARTLY_REPORTED'],
    ends: 'FAILED ADJUSTED_BY_DEVICE',
  },
  {
    id: 'F4',
    note: 'the file has it, and its report was lost: told to fetch',
    next: FROM_NEW,
    begin: fault('livelock'),
    seen: { desired: undefined, config: OLD },
    on: ['SWALLOWED', 'LIVELOCK'],
    ends: 'converged',
    effects: { config: 1, refetch: 1 },
  },
  {
    id: 'F4',
    note: 'the same with nobody to tell it',
    options: NO_AGENT,
    next: { ...FROM_NEW, options: NO_AGENT },
    begin: fault('livelock'),
    on: ['SWALLOWED'],
    ends: 'FAILED UNANSWERED',
    effects: { config: 1, refetch: 0 },
  },
  {
    id: 'F5',
    note: 'applied and never reported: its mailbox stays full until it starts again',
    next: FROM_NEW,
    begin: fault('wedge'),
    after: restarts(5),
    seen: { desired: { config: { ...NEW, old: 'DELETE' } }, config: OLD },
    on: [],
    ends: 'converged',
    effects: { config: 1 },
  },
  {
    id: 'F6',
    note: 'stale and new at one fetch: only the new is reported',
    next: FROM_NEW,
    begin: async (scene) => {
      await scene.fleet.clock.run(scene.gateway.powerOff());
      tell(scene, { reported: { config: { interval: 59, stale: 1 } } });
    },
    after: restarts(1),
    on: ['PARTLY_REPORTED'],
    ends: 'converged',
    effects: { config: 1, refetch: 1 },
  },
  {
    id: 'F7',
    note: 'an order to fetch that comes while it is away is never carried out, and its own fetch does the same',
    next: FROM_NEW,
    begin: fault('livelock'),
    after: async (scene, pass) => {
      if (pass === 2) await scene.fleet.clock.run(scene.gateway.powerOff());
      if (pass === 6) await scene.fleet.clock.run(scene.gateway.powerOn());
    },
    ends: 'converged',
    effects: { config: 1, refetch: 0 },
  },
  {
    id: 'F8',
    note: 'what is declared no more goes key by key, never the whole service',
    next: { config: { only: 1 } },
    after: async (scene, pass) => {
      if (pass === 1) await scene.fleet.clock.run(scene.gateway.powerOn());
    },
    begin: ({ fleet, gateway }) => fleet.clock.run(gateway.powerOff()),
    seen: { desired: { config: { apn: 'DELETE', interval: 'DELETE', old: 'DELETE', only: 1 } }, config: OLD },
    ends: 'converged',
  },
  {
    id: 'F9',
    note: 'a shadow that begins again at version 1 is not heard of until the device starts again',
    next: FROM_NEW,
    reportMs: 1000 * HOUR_MS,
    begin: async ({ fleet }) => {
      fleet.sim.aws('cloud').shadows.delete(PLACE, new Uint8Array());
      await fleet.clock.advance(49 * HOUR_MS);
      fleet.sim.aws('cloud').shadows.update(PLACE, Buffer.from('{"state":{"desired":{"nobody":1}}}'));
    },
    after: restarts(4),
    seen: { reported: undefined },
    on: [],
    ends: 'converged',
  },
  {
    id: 'F10',
    note: 'what runs goes with a fetch: it is waited for, then it is told to post it',
    next: { firmware: '1.1.0' },
    begin: fault('outkeys', 'firmware'),
    ends: 'converged',
    effects: { flash: 1 },
  },
  {
    id: 'F13',
    note: 'keys of another writer are erased with ours, and ours arrive',
    next: FROM_NEW,
    begin: (scene) => tell(scene, { desired: { stranger: { x: 1 } } }),
    seen: { desired: undefined },
    on: [],
    ends: 'converged',
    effects: { config: 1 },
  },
  {
    id: 'F14',
    note: 'a lost delta: the same is written again once the device is heard',
    next: FROM_NEW,
    begin: fault('loseDelta', 2),
    seen: { desired: { config: { ...NEW, old: 'DELETE' } }, config: OLD },
    on: ['DELTA_LOST'],
    ends: 'converged',
    effects: { config: 1 },
  },
];

async function begun({ options = AGENT, reportMs = 10 * MINUTE_MS }: Mode): Promise<Scene> {
  const fleet = await MemoryFleet.start({ files: files({ options }) });
  const gateway = await fleet.add(GATEWAY, { reportMs: String(reportMs) });
  await fleet.clock.advance(MINUTE_MS);
  const { result } = await fleet.pass({ newLedger: true });
  expect(result?.plan.groups[0]?.converged).toBe(1);
  return { fleet, gateway };
}

function seenIn({ fleet }: Scene): Readonly<Record<string, unknown>> {
  const state = fleet.sim.aws('cloud').shadows.contentOf(PLACE)?.state ?? {};
  const { desired, reported } = state;
  return { desired, reported, config: (reported as JsonObject | undefined)?.['config'] };
}

function verdictOf({ decision, plan }: PassResult): string {
  const held = decision.held.find(({ device }) => device === GATEWAY);
  if (held !== undefined) return `${held.reason} ${/^\w+/.exec(held.evidence)?.[0] ?? ''}`;
  return plan.groups[0]?.converged === 1 && plan.devices.every(({ open }) => open.length === 0) ? 'converged' : 'open';
}

function troublesOf({ plan }: PassResult): readonly string[] {
  return plan.devices.flatMap(({ open }) =>
    open.flatMap(({ confirmation }) => (confirmation.kind === 'trouble' ? [confirmation.code] : [])),
  );
}

interface Told {
  readonly seen: Readonly<Record<string, unknown>>;
  readonly troubles: readonly string[];
  readonly verdict: string;
}

/** Passes on a schedule until it is converged or given up. */
async function untilSettled(scene: Scene, mode: Mode): Promise<Told> {
  const { fleet } = scene;
  const troubles: string[] = [];
  let [seen, verdict]: [Told['seen'], string] = [{}, ''];
  for (let pass = 1; pass * PASS_MS <= LONG_MS; pass += 1) {
    const { result } = await fleet.pass();
    if (result === null) throw new Error('the pass was refused');
    troubles.push(...troublesOf(result).filter((code) => code !== troubles.at(-1)));
    verdict = verdictOf(result);
    if (pass > 1 && (verdict === 'converged' || verdict.startsWith('FAILED'))) break;
    await fleet.clock.advance(MINUTE_MS);
    if (pass === 1) seen = seenIn(scene);
    await mode.after?.(scene, pass);
    await fleet.clock.advance(PASS_MS - MINUTE_MS);
  }
  return { seen, troubles, verdict };
}

function countOf({ effects }: SimDevice, kind: string): number {
  return effects.filter((effect) => effect.kind === kind).length;
}

describe('failure modes of chariotd: what is seen at the shadow, and what is said of it', () => {
  it.each(MODES)('$id $note', async (mode) => {
    const scene = await begun(mode);
    await mode.begin?.(scene);
    const before = Object.keys(mode.effects ?? {}).map((kind) => [kind, countOf(scene.gateway, kind)] as const);
    scene.fleet.repo.commit(files(mode.next), 'The change');
    const { seen, troubles, verdict } = await untilSettled(scene, mode);
    for (const [name, value] of Object.entries(mode.seen ?? {})) expect(seen[name], name).toEqual(value);
    if (mode.on !== undefined) expect({ troubles, verdict }).toEqual({ troubles: mode.on, verdict: mode.ends });
    else expect(verdict).toBe(mode.ends);
    const counts = before.map(([kind, count]) => [kind, countOf(scene.gateway, kind) - count] as const);
    expect(Object.fromEntries(counts)).toEqual(mode.effects ?? {});
    await scene.fleet.close();
  });

  it.each([
    [
      'F11',
      'a version that a SHELL file gives back as a number',
      { firmware: '1.10', options: '{ firmware: { format: SHELL } }' },
      'SHELL_CHANGES',
    ],
    [
      'F11',
      'a config that a SHELL file gives back otherwise',
      { config: { v: '007' }, options: '{ config: { format: SHELL } }' },
      'SHELL_CHANGES',
    ],
    ['F12', 'a thing of 58 bytes', { address: 'g'.repeat(58) }, 'CHARIOT_THING_LONG'],
  ] as const)('%s %s is refused in validate', (_id, _note, written, code) => {
    const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
    const { declared, diagnostics } = declare({ revision: revisionOfFiles(files(written)), families: entries, at: 0 });
    expect(declared).toBe(null);
    expect(diagnostics.filter(({ severity }) => severity === 'error').map((one) => one.code)).toEqual([code]);
  });
});
