import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import { buildSimFirmware } from '#adapters/canedge/sim-image.ts';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { buildNodeImage } from '#adapters/drogue/sim-image.ts';
import { buildSimBundle } from '#adapters/mongoose/sim-image.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { LedgerRecord } from '#model/records.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import { artifactsYaml } from '#test/support/artifact-yaml.ts';
import { type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { MemoryJournal } from '#test/support/memory-journal.ts';

const LIAR = 'liar';

/**
 * What a merge asks of every device of the fleet; `series` is a firmware of the next config series with its config,
 * `settings` another PakBusAddress than the 3 of `group`, `files` that nothing more than needed lies on a logger.
 */
export type Change = 'firmware' | 'program' | 'config' | 'series' | 'settings' | 'files' | 'trust' | 'identity';

export interface Lie {
  readonly name: string;
  readonly family: 'campbell' | 'canedge' | 'chariot' | 'drogue' | 'mongoose' | 'shadow' | 'twin';
  /** Faults of the family's simulator that the lie is made of. */
  readonly faults: readonly string[];
  readonly change: readonly Change[];
  /** Of the liar; the honest ones are of the family's usual model. */
  readonly model?: 'CR6';
  /** Further members of the liar's row. */
  readonly device?: string;
  /** Hardware that differs from what is declared (sim/fleet.ts). */
  readonly options?: Readonly<Record<string, string>>;
  /** Further members of the connection's YAML. */
  readonly connection?: string;
  /** Further members of the group's YAML. */
  readonly group?: string;
  /** How long it takes until the engine has said its last word. */
  readonly hours?: number;
  /** How long all is well before the merge: one hour where nothing is said. */
  readonly steadyHours?: number;
  /** Before the engine sees anything of the fleet. */
  arrive?(stage: Stage): Promise<void> | void;
  /** After the ledger began, before the merge. */
  begin?(stage: Stage): Promise<void> | void;
  /** After each pass since the merge, from 1 on. */
  after?(stage: Stage, pass: number): Promise<void> | void;
  /** What the engine says of the liar in the end: `converged`, or the reason and the first word of its evidence. */
  readonly ends: string;
  /** What the rollout records of the liar, where it is not what `ends` says. */
  readonly outcome?: string;
  /** Where nothing on the wire tells it from the truth, for a time or for ever: what the docs say, word for word. */
  readonly untellable?: { readonly page: string; readonly says: string };
}

const MODELS = {
  campbell: 'CR1000X',
  canedge: 'CANedge2',
  chariot: 'gw2',
  drogue: 'nrf52',
  mongoose: 'esp32',
  shadow: 'gw2',
  twin: 'gw2',
} as const;
const HONEST = ['honest-1', 'honest-2', 'honest-3'] as const;

const ROOTS = readFileSync(join(import.meta.dirname, '..', '..', 'src/adapters/canedge/fixtures/bundle-two-roots.pem'));

const images = {
  'files/roots.pem': ROOTS,
  'files/CR1000X-1.obj': buildOsImage({ model: 'CR1000X', version: '8.1.0' }),
  'files/CR1000X-2.obj': buildOsImage({ model: 'CR1000X', version: '8.2.1' }),
  'files/CR6-1.obj': buildOsImage({ model: 'CR6', version: '14.2.0' }),
  'files/CR6-2.obj': buildOsImage({ model: 'CR6', version: '14.3.0' }),
  'files/node-1.bin': buildNodeImage({ version: '0.1.0', size: 2000 }),
  'files/node-2.bin': buildNodeImage({ version: '0.1.1', size: 2000 }),
  'files/gw-1.bin': 'gateway image 1.0.0',
  'files/gw-2.bin': 'gateway image 1.1.0',
  'files/board-1.zip': buildSimBundle({ platform: 'esp32', version: '1.0.0', buildId: '20260901-120000' }),
  'files/board-2.zip': buildSimBundle({ platform: 'esp32', version: '1.1.0', buildId: '20261101-120000' }),
  'files/van-1.bin': buildSimFirmware({ model: 'CANedge2', version: '01.08.04' }),
  'files/van-2.bin': buildSimFirmware({ model: 'CANedge2', version: '01.08.05' }),
  'files/van-3.bin': buildSimFirmware({ model: 'CANedge2', version: '01.09.01' }),
};

/** A program that compiles, and is told apart from all others. */
function program(name: string): string {
  return `'${name}\nPublic PTemp\nBeginProg\n  Scan (1,Min,0,0)\n  NextScan\nEndProg\n`;
}

export function configText(meta: string, series = '01.08'): string {
  return JSON.stringify(buildSimConfig(series, 'CANedge2', { meta }));
}

function devicesYaml({ family, model, group, device = '' }: Lie): string {
  const rows = [LIAR, ...HONEST].map((id, index) => {
    const own = id === LIAR && model !== undefined ? `model: ${model}, ` : '';
    if (family === 'shadow' || family === 'twin' || family === 'chariot') return `  ${id}: { serial: "471${index}" }`;
    if (family === 'mongoose') return `  ${id}: { serial: A4CF1200000${index} }`;
    if (family === 'drogue') return `  ${id}: { ${id === LIAR ? device : ''} }`;
    return family === 'campbell'
      ? `  ${id}: { ${own}serial: "100${index}", address: AAAA-AAAA-000${index}, values: { program: ${id}_v1.CRB }${id === LIAR ? device : ''} }`
      : `  ${id}: { serial: 0A00000${index} }`;
  });
  const via = family === 'canedge' ? 'logs' : family === 'twin' ? 'hub' : 'field';
  const options = family === 'drogue' && group !== undefined ? `, options: { telemetry: 'telemetry/{device}' }` : '';
  return [
    'kind: Devices',
    `family: ${family}`,
    `via: ${via}`,
    `defaults: { model: ${MODELS[family]}${options} }`,
    'devices:',
    ...rows,
    '',
  ].join('\n');
}

const SHADOW_GROUP = `options:
  serial: /serial
  model: /model
  patience: 30m
  firmware:
    reported: /fw/running
    desired: { /fw/version: "{version}", /fw/url: "{url}", /fw/sha256: "{sha256}" }
    taken: { at: /fw/state, when: [downloading] }
    failed: { at: /fw/state, when: [failed], why: /fw/error }
  config: { reported: /config }
  settings:
    interval: { reported: /settings/interval, type: number }
    level: { reported: /settings/level, type: number }
settings: { interval: 60, level: 1 }
`;

const CHARIOT_GROUP = 'options: { serial: /device/serial, agent: agent }\n';

function groupYaml({ family, group = '', model, change }: Lie): string {
  const os = model === undefined ? 'logger-os@8.1.0' : '[logger-os@8.1.0, cr6-os@14.2.0]';
  const pins = {
    campbell: `  firmware: ${os}\n  program: { file: 'files/\${value:program}' }\n`,
    canedge: "  firmware: van-firmware@01.08.04\n  config: { layers: ['files/base-${series}.json'] }\n",
    chariot: `  firmware: chariot-gw@1.0.0\n  config: { layers: [files/gw-config.json] }\n${change.includes('identity') ? '  identity: gw-cert@2025\n' : ''}`,
    drogue: '  firmware: node-firmware@0.1.0\n',
    mongoose: '  firmware: board@1.0.0\n',
    shadow: '  firmware: gw@1.0.0\n  config: { layers: [files/gw-config.json] }\n',
    twin: '  firmware: twin-gw@1.0.0\n  config: { layers: [files/gw-config.json] }\n',
  }[family];
  const shadow = family === 'shadow' || family === 'twin' ? SHADOW_GROUP : family === 'chariot' ? CHARIOT_GROUP : '';
  return `kind: Group\nname: all\nselect: all\npins:\n${pins}rollout: together\nsilence: 6h\n${shadow}${group}`;
}

const GATEWAY_IMAGES = { '1.0.0': 'from: files/gw-1.bin', '1.1.0': 'from: files/gw-2.bin' };

const ARTIFACTS = artifactsYaml(
  {
    name: 'logger-os',
    family: 'campbell',
    models: ['CR1000X'],
    versions: {
      '8.1.0': 'from: files/CR1000X-1.obj, reportsAs: CR1000X.8.1.0',
      '8.2.1': 'from: files/CR1000X-2.obj, reportsAs: CR1000X.8.2.1',
    },
  },
  {
    name: 'cr6-os',
    family: 'campbell',
    models: ['CR6'],
    versions: {
      '14.2.0': 'from: files/CR6-1.obj, reportsAs: CR6.14.2.0',
      '14.3.0': 'from: files/CR6-2.obj, reportsAs: CR6.14.3.0',
    },
  },
  {
    name: 'van-firmware',
    family: 'canedge',
    models: ['CANedge2'],
    versions: {
      '01.08.04': 'from: files/van-1.bin, reportsAs: 01.08.04',
      '01.08.05': 'from: files/van-2.bin, reportsAs: 01.08.05',
      '01.09.01': 'from: files/van-3.bin, reportsAs: 01.09.01',
    },
  },
  { name: 'roots', item: 'trust', family: 'canedge', versions: { "'1'": 'certs: [files/roots.pem]' } },
  { name: 'node-firmware', family: 'drogue', versions: { '0.1.0': 'from: files/node-1.bin', '0.1.1': 'from: files/node-2.bin' } },
  { name: 'gw', family: 'shadow', versions: GATEWAY_IMAGES },
  { name: 'twin-gw', family: 'twin', versions: GATEWAY_IMAGES },
  { name: 'chariot-gw', family: 'chariot', versions: GATEWAY_IMAGES },
  { name: 'board', family: 'mongoose', versions: { '1.0.0': 'from: files/board-1.zip', '1.1.0': 'from: files/board-2.zip' } },
  {
    name: 'gw-cert',
    item: 'identity',
    family: 'chariot',
    versions: { "'2025'": "issuedAfter: '2025-01-01T00:00:00Z'", "'2026'": "issuedAfter: '2026-11-01T00:00:00Z'" },
  },
);

/** One group; the gate is met by the honest ones, so that nobody is held by the liar. */
function filesOf(lie: Lie): Files {
  const programs = [LIAR, ...HONEST].map((id) => [`files/${id}_v1.CRB`, program(`${id}_v1`)] as const);
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: lies
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: lies, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883'${lie.connection ?? ''} }
  hub: { type: azure-iot, host: hub.azure-devices.net, policy: service, key: '\${env:HUB_KEY}' }
  logs: { type: s3, bucket: logs, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, personal: 5, operationsPerMinute: 120, maxAttempts: 3 }
`,
    'devices/all.yaml': devicesYaml(lie),
    'artifacts/firmware.yaml': ARTIFACTS,
    'groups/all.yaml': groupYaml(lie),
    'rollouts/together.yaml': `kind: Rollout
name: together
waves: [{ name: all, gate: { success: 30%, soak: 1m } }]
gate: { quorum: 50%, patience: 12h, then: go-on, minimum: 1 }
budget: [{ max: 100% }]
windows: any
`,
    'files/gw-config.json': '{"apn":"v1.example"}',
    'files/base-01.08.json': configText('v1'),
    'files/base-01.09.json': configText('v1', '01.09'),
    ...Object.fromEntries(programs),
    ...images,
  };
}

/** One fleet with one liar in it, and what the engine made of it so far. */
export class Stage {
  readonly lie: Lie;
  readonly fleet: MemoryFleet;
  last: PassResult | null = null;
  /** Everything that was said of a device and was not so. */
  readonly wrong: string[] = [];
  readonly #steps = new Map<string, string>();
  #records = 0;
  #foreign: MessageBus | null = null;

  constructor(lie: Lie, fleet: MemoryFleet) {
    this.lie = lie;
    this.fleet = fleet;
  }

  get liar(): SimDevice {
    return this.fleet.device(LIAR);
  }

  get depot(): ObjectStore {
    return this.fleet.sim.bucket('depot');
  }

  get logs(): ObjectStore {
    return this.fleet.sim.bucket('logs');
  }

  /** The folder of the liar in the bucket. */
  key(name: string): string {
    return `0A000000/${name}`;
  }

  fault(name: string, value: string | number | boolean | Readonly<Record<string, number>> = true): void {
    this.liar.fault(name, value);
  }

  advance(ms: number): Promise<void> {
    return this.fleet.clock.advance(ms);
  }

  /** Somebody else publishes under the liar's address; `rest` is what follows it, `text` the payload. */
  async publish(message: {
    readonly type?: string;
    readonly rest?: string;
    readonly payload: string | Uint8Array;
    readonly retain?: boolean;
  }): Promise<void> {
    const { type = 'state', rest = '', payload, retain = false } = message;
    const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
    await this.publishTo(`cs/v2/${type}/AAAA-AAAA-0000/${rest}`, bytes, retain);
  }

  async publishTo(topic: string, payload: Uint8Array, retain = false): Promise<void> {
    const bus = (this.#foreign ??= await this.fleet.clock.run(this.#connect()));
    await this.fleet.clock.run(bus.publish(topic, payload, { qos: 1, retain }));
    await this.fleet.clock.settled();
  }

  #connect(): Promise<MessageBus> {
    const connection = this.fleet.declared.fleet.connections.get('field');
    if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
    return this.fleet.sim.wires.bus(connection, { role: 'reader' });
  }

  /** A status message as the liar would write it if it ran these. */
  statusOf(runs: { readonly firmware: string; readonly program: string; readonly clientId?: string }): string {
    return JSON.stringify({
      state: {
        reported: {
          clientId: runs.clientId ?? 'CR1000X_1000',
          OS_Version: runs.firmware,
          Program_Name: `CPU:${runs.program}`,
          Program_Signature: '12345',
          Compile_Errors: '0',
          Compile_Results: `CPU:${runs.program} -- Compiled in PipelineMode.`,
          Battery: '12.60',
          Watchdog_Errors: '0',
        },
      },
    });
  }

  /** Merges the change for all devices. */
  merge(change: readonly Change[], version = 2): void {
    const files: Record<string, string | null> = {};
    let group = String(this.fleet.repo.files['groups/all.yaml']);
    if (change.includes('firmware')) {
      group = group
        .replace('logger-os@8.1.0', 'logger-os@8.2.1')
        .replace('cr6-os@14.2.0', 'cr6-os@14.3.0')
        .replace('van-firmware@01.08.04', 'van-firmware@01.08.05')
        .replace('node-firmware@0.1.0', 'node-firmware@0.1.1')
        .replace('board@1.0.0', 'board@1.1.0')
        .replace('gw@1.0.0', 'gw@1.1.0');
    }
    if (change.includes('settings'))
      group = group.replace('PakBusAddress: 3', 'PakBusAddress: 4').replace('{ interval: 60, level: 1 }', '{ interval: 90, level: 2 }');
    if (change.includes('files')) group = group.replace('pins:\n', 'pins:\n  files: { exact: true }\n');
    if (change.includes('series')) group = group.replace('van-firmware@01.08.04', 'van-firmware@01.09.01');
    if (change.includes('config')) {
      files['files/base-01.08.json'] = configText(`v${version}`);
      files['files/gw-config.json'] = `{"apn":"v${version}.example"}`;
    }
    if (change.includes('identity')) group = group.replace('gw-cert@2025', '{ use: gw-cert@2026, keep: [gw-cert@2025] }');
    if (change.includes('trust')) group = group.replace('pins:\n', 'pins:\n  trust: roots@1\n');
    if (change.includes('program')) {
      files['devices/all.yaml'] = String(this.fleet.repo.files['devices/all.yaml']).replaceAll(/_v\d+\.CRB/g, `_v${version}.CRB`);
      for (const id of [LIAR, ...HONEST]) files[`files/${id}_v${version}.CRB`] = program(`${id}_v${version}`);
    }
    this.fleet.repo.commit({ ...files, 'groups/all.yaml': group }, 'The change');
  }

  /** One pass, and whether anything that it says or writes down of a device is not so in truth. */
  async pass(options: Parameters<MemoryFleet['pass']>[0] = {}): Promise<PassReport> {
    const report = await this.fleet.pass(options);
    if (report.result === null) throw new Error(`the pass was refused: ${JSON.stringify(report.refusal ?? report.diagnostics)}`);
    this.last = report.result;
    this.#checkCounted(report.result);
    await this.#checkRecords(report.result);
    return report;
  }

  /** Law 7: who is not converged has exactly one reason, or is being changed by this very pass; nobody else has any. */
  #checkCounted(result: PassResult): void {
    for (let row = 0; row < result.declared.size; row += 1) {
      const device = result.declared.deviceAt(row);
      const held = result.decision.held.filter((hold) => hold.device === device.id).length;
      // What is taken back is no way to where the device should be: it has its reason beside that.
      const going = result.decision.admitted.some(({ operation }) => operation.device === device.id && operation.kind === 'change');
      const reasons = held + (going ? 1 : 0);
      const counted = isCounted(result, device.id);
      if (counted) this.#checkTruth(device, 'counts as converged');
      // What is as declared and unhealthy, or lost since, has a reason as well.
      if (reasons > 1 || (!counted && reasons === 0)) {
        this.#note(`${device.id} ${counted ? 'is converged' : 'is not converged'} and has ${reasons} reasons`);
      }
    }
  }

  async #checkRecords(result: PassResult): Promise<void> {
    const records = await this.fleet.clock.run(this.fleet.ledger.read());
    const news = records.slice(this.#records);
    this.#records = records.length;
    for (const { body } of news) if (body.type === 'intent') this.#steps.set(body.operation.id, body.operation.step);
    // What lies ready for the next firmware, or in a store, is not in use yet, and what was taken back says nothing of it.
    const saysNothing = (step = ''): boolean => step === 'config-next' || step === 'reprovision' || step.startsWith('withdraw');
    const proofs = news.filter(({ body }) => body.type !== 'closed' || !saysNothing(this.#steps.get(body.operation)));
    for (const said of proofs.flatMap(saidConverged)) {
      const row = result.declared.rowOf(deviceId(said.device));
      if (row !== undefined) this.#checkTruth(result.declared.deviceAt(row), said.how, said.item);
    }
  }

  #checkTruth(device: DeclaredDevice, how: string, item?: string): void {
    const hardware = this.fleet.sim.devices.get(device.id);
    for (const declared of device.items) {
      if (item !== undefined && item !== declared.item) continue;
      const really = hardware?.truthOf?.(declared.item, declared.facts) ?? hardware?.truth()[declared.item] ?? 'nothing';
      if (really !== declared.value) this.#note(`${device.id} ${how}, but its ${declared.item} is ${really}, not ${declared.value}`);
    }
  }

  #note(text: string): void {
    if (!this.wrong.includes(text)) this.wrong.push(text);
  }
}

interface Said {
  readonly device: string;
  readonly how: string;
  readonly item?: string;
}

function saidConverged({ body }: LedgerRecord): readonly Said[] {
  if (body.type === 'converged') return body.entries.map(({ device }) => ({ device, how: 'is recorded as converged' }));
  if (body.type === 'closed' && body.closing === 'succeeded') {
    return [{ device: body.device, how: `has a ${body.item} operation recorded as succeeded`, item: body.item }];
  }
  if (body.type !== 'event' || body.event.kind !== 'device-outcomes') return [];
  const succeeded = body.event.outcomes.filter(({ outcome }) => outcome.kind === 'succeeded');
  return succeeded.map(({ device }) => ({ device, how: 'is recorded as succeeded' }));
}

/** Whether the plan counts the device as converged. */
function isCounted({ plan }: PassResult, device: string): boolean {
  const listed = plan.devices.find((one) => one.device === device);
  return listed === undefined || (listed.converged && listed.open.every(({ confirmation }) => confirmation.kind === 'confirmed'));
}

/** Starts the fleet, begins the ledger, lets an hour or more go by, merges, and passes until the engine's last word. */
export async function tellLie(lie: Lie): Promise<Stage> {
  const journal = lie.family === 'drogue' ? { journal: new MemoryJournal() } : {};
  const fleet = await MemoryFleet.start({ files: filesOf(lie), ...journal });
  const stage = new Stage(lie, fleet);
  for (const id of HONEST) await fleet.add(id);
  await fleet.add(LIAR, lie.options ?? {});
  await lie.arrive?.(stage);
  await stage.advance(31 * MINUTE_MS);
  await stage.pass({ newLedger: true, listenMs: 35 * MINUTE_MS });
  await passes(stage, { hours: lie.steadyHours ?? 1, everyMs: HOUR_MS });
  await lie.begin?.(stage);
  stage.merge(lie.change);
  await passes(stage, { hours: lie.hours ?? 4, everyMs: 5 * MINUTE_MS, each: (pass) => lie.after?.(stage, pass) });
  return stage;
}

async function passes(
  stage: Stage,
  plan: { readonly hours: number; readonly everyMs: number; readonly each?: (pass: number) => Promise<void> | void },
): Promise<void> {
  const end = stage.fleet.clock.now() + plan.hours * HOUR_MS;
  for (let pass = 1; stage.fleet.clock.now() < end; pass += 1) {
    await stage.advance(plan.everyMs);
    await stage.pass({ nextPassMs: plan.everyMs });
    await plan.each?.(pass);
  }
}

/** `converged`, or the reason of the hold and the code that its evidence begins with. */
export function conclusion(stage: Stage): string {
  const { last } = stage;
  if (last === null) return 'no pass';
  const [hold] = last.decision.held.filter((one) => one.device === LIAR);
  if (hold === undefined) return isCounted(last, LIAR) ? 'converged' : 'no reason';
  const [, code = null] = /^([A-Z][A-Z_]+):/.exec(hold.evidence) ?? [];
  return code === null || code === hold.reason ? hold.reason : `${hold.reason} ${code}`;
}

/** What the last rollout records of the liar: `succeeded`, the code of its failure, or nothing. */
export function recorded(stage: Stage): string | null {
  const [group] = stage.last?.view.groups.values() ?? [];
  const rollout = group?.rollout ?? group?.past.at(-1);
  const outcome = rollout?.outcomes.get(deviceId(LIAR));
  return outcome === undefined ? null : (outcome.code ?? outcome.kind);
}

export function evidence(stage: Stage): string {
  return stage.last?.decision.held.find((hold) => hold.device === LIAR)?.evidence ?? '';
}

/** Ids of the honest devices that are not converged in the end. */
export function leftBehind(stage: Stage): readonly string[] {
  const { last } = stage;
  return HONEST.filter((id) => last === null || !isCounted(last, id) || last.decision.held.some((hold) => hold.device === id));
}

/** Operations that were sent to the liar so far: written down before they were. */
export async function intents(stage: Stage): Promise<number> {
  const records = await stage.fleet.clock.run(stage.fleet.ledger.read());
  return records.filter(({ body }) => body.type === 'intent' && body.operation.device === LIAR).length;
}
