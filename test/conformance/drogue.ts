import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { buildNodeImage } from '#adapters/drogue/sim-image.ts';
import { decodeCommand, encodeCommand } from '#adapters/drogue/wire-commands.ts';
import { decodeStatus, encodeStatus } from '#adapters/drogue/wire.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { deviceId } from '#model/ids.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { DEVICE, type FamilyPages, type FamilyTrial, type ReportWire } from './family.ts';

const ADDRESS = 'n-1';
const FIXTURES = 'src/adapters/drogue/fixtures';

function files(version = '0.1.0'): Files {
  return {
    'devices/nodes.yaml': `kind: Devices
family: drogue
via: field
defaults: { model: nrf52 }
devices:
  ${DEVICE}: { address: ${ADDRESS}, options: { correlation: 7 } }
`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions:
  0.1.0: { from: files/1.bin }
  0.1.1: { from: files/2.bin }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
pins: { firmware: node@${version} }
rollout: careful
`,
    'files/1.bin': buildNodeImage({ version: '0.1.0', size: 2000 }),
    'files/2.bin': buildNodeImage({ version: '0.1.1', size: 2000 }),
  };
}

/** A client of the broker that is nobody's, one per fleet. */
const foreigners = new WeakMap<MemoryFleet, MessageBus>();

async function foreigner(fleet: MemoryFleet): Promise<MessageBus> {
  const known = foreigners.get(fleet);
  if (known !== undefined) return known;
  const connection = fleet.declared.fleet.connections.get('field');
  if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
  const bus = await fleet.clock.run(fleet.sim.wires.bus(connection, { role: 'reader' }));
  foreigners.set(fleet, bus);
  return bus;
}

const wire: ReportWire = {
  channels: [`dfu/${ADDRESS}`, `dfu/${ADDRESS}x`, `telemetry/${ADDRESS}`, `command/inbox/${ADDRESS}/dfu`],
  // In the form of text, which the family reads as well: how the bytes may be spoilt is the same for all families.
  last: async (fleet) => {
    let last: Uint8Array | null = null;
    fleet.sim.broker('field').onPublish((topic, payload) => {
      if (topic === `dfu/${ADDRESS}`) last ??= Uint8Array.from(payload);
    });
    await fleet.clock.advance(6 * MINUTE_MS);
    const read = last === null ? null : decodeStatus(last);
    if (read?.ok !== true) throw new Error('the node says nothing');
    const { version, mtu, correlationId, update } = read.value.status;
    return new TextEncoder().encode(JSON.stringify({ version, mtu, correlation_id: correlationId, update }));
  },
  put: async (fleet, channel, payload) => {
    const bus = await foreigner(fleet);
    await fleet.clock.run(bus.publish(channel, payload, { qos: 1 }));
    await fleet.clock.settled();
  },
};

export const DROGUE_TRIALS: readonly FamilyTrial[] = [
  {
    family: 'drogue',
    files: files(),
    next: files('0.1.1'),
    item: 'firmware',
    effect: 'flash',
    doneMs: 10 * MINUTE_MS,
    stranger: { fault: 'wrongCorrelation', value: true, shownMs: 6 * MINUTE_MS },
    wire,
    isOld: (_item, value) => value === '0.1.0',
    responds: {
      offer: async (fleet, { declared, view }, open) => {
        const admitted = { ...view, open: new Map([[deviceId(DEVICE), [open]]]) };
        await fleet.clock.run(fleet.responder.admit({ declared, view: admitted, older: [] }));
      },
      offers: async (fleet) => {
        const view = fleet.engine.fold(await fleet.clock.run(fleet.ledger.read()));
        const open = [...view.open.values()].flat().map(({ operation }) => operation);
        const withdrawn = new Set(open.map(({ withdraws }) => withdraws));
        return open.filter(({ kind, id }) => kind === 'change' && !withdrawn.has(id)).map(({ id }) => id);
      },
      changesNothing: (payload) => {
        const command = decodeCommand(payload);
        return command.ok && (command.value.kind === 'Wait' || (command.value.kind === 'Sync' && command.value.version === '0.1.0'));
      },
    },
  },
];

interface Vector {
  readonly name: string;
  readonly verdict?: string;
  readonly hex: string;
}

function vectorsIn(file: string): readonly { readonly name: string; check(): void }[] {
  const read = JSON.parse(readFileSync(join(FIXTURES, file), 'utf8')) as Readonly<Record<string, readonly (Vector & { from?: string })[]>>;
  return Object.entries(read).flatMap(([kind, vectors]) =>
    vectors.map(({ name, verdict = 'ok', hex, from }, index) => ({
      name: `${kind} ${name ?? index}`,
      check: () => {
        const isCommand = kind.toLowerCase().endsWith('commands') || from === 'server';
        const wanted = kind.startsWith('odd') ? null : hex;
        roundTrip(hex, { isCommand, verdict, wanted });
      },
    })),
  );
}

interface Wanted {
  readonly isCommand: boolean;
  readonly verdict: string;
  /** The bytes that come out again; null for what is written in another way than ours. */
  readonly wanted: string | null;
}

function roundTrip(hex: string, { isCommand, verdict, wanted }: Wanted): void {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
  const named = Buffer.from(bytes).includes('correlation_id') ? 'named' : 'packed';
  if (isCommand) {
    const read = decodeCommand(bytes);
    expect(read.ok).toBe(verdict === 'ok');
    if (read.ok && wanted !== null) expect(Buffer.from(encodeCommand(read.value, named)).toString('hex')).toBe(wanted);
    return;
  }
  const read = decodeStatus(bytes);
  expect(read.ok).toBe(verdict === 'ok');
  if (read.ok && wanted !== null) expect(Buffer.from(encodeStatus(read.value.status, named)).toString('hex')).toBe(wanted);
}

export const DROGUE_PAGES: FamilyPages = {
  family: 'drogue',
  fixtures: ['vectors.json', 'sessions.json'].flatMap((file) => vectorsIn(file).map((vector) => ({ file, ...vector }))),
  readme: {
    'files/firmware/node-0.1.0.bin': buildNodeImage({ version: '0.1.0', size: 100 }),
    'files/firmware/node-0.1.1.bin': buildNodeImage({ version: '0.1.1', size: 100 }),
  },
};
