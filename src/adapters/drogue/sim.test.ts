import { afterEach, describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { VirtualClock } from '#sim/clock.ts';
import { startSimWorld } from '#sim/world.ts';
import { networkClients } from '#world.ts';
import { declaredOf, type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { MemoryJournal } from '#test/support/memory-journal.ts';
import { DROGUE_FAULTS } from './sim-faults.ts';
import { buildNodeImage } from './sim-image.ts';
import type { DrogueSimDevice } from './sim.ts';
import sessions from './fixtures/sessions.json' with { type: 'json' };

const IMAGE = buildNodeImage({ version: '0.1.1', size: 12_000 });

function files(count: number, version = '0.1.0'): Files {
  const rows = Array.from({ length: count }, (_, index) => `  n${index}: {}\n`).join('');
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: many
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: many, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' }
limits: { change: 100%, operationsPerMinute: 6000 }
`,
    'devices/nodes.yaml': `kind: Devices\nfamily: drogue\nvia: field\ndefaults: { model: nrf52 }\ndevices:\n${rows}`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions: { 0.1.0: { from: files/0.bin }, 0.1.1: { from: files/1.bin } }
`,
    'groups/all.yaml': `kind: Group\nname: all\nselect: all\npins: { firmware: node@${version} }\nrollout: all\nsilence: 6h\n`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [{ name: all }]\nbudget: [{ max: 100% }]\nwindows: any\n',
    'files/0.bin': buildNodeImage({ version: '0.1.0', size: 100 }),
    'files/1.bin': IMAGE,
  };
}

let fleet: MemoryFleet | null = null;
afterEach(() => fleet?.close());

/** So many nodes at 0.1.0, and 0.1.1 offered to all of them. */
async function offered(count: number, options: Readonly<Record<string, string>>, faults: Readonly<Record<string, number>>) {
  const made = (fleet = await MemoryFleet.start({ files: files(count), journal: new MemoryJournal() }));
  const nodes: DrogueSimDevice[] = [];
  for (let index = 0; index < count; index += 1) nodes.push((await made.add(`n${index}`, options)) as DrogueSimDevice);
  await made.pass({ newLedger: true });
  await made.clock.advance(2 * MINUTE_MS);
  await made.pass();
  for (const node of nodes) for (const [name, value] of Object.entries(faults)) node.fault(name, value);
  made.repo.commit(files(count, '0.1.1'), 'Nodes to 0.1.1');
  await made.pass();
  return { made, nodes };
}

async function passes(made: MemoryFleet, count: number): Promise<void> {
  for (let pass = 0; pass < count; pass += 1) {
    await made.clock.advance(5 * MINUTE_MS);
    await made.pass();
  }
}

const effects = (nodes: readonly DrogueSimDevice[], kind: string): number =>
  nodes.reduce((sum, node) => sum + node.effects.filter((effect) => effect.kind === kind).length, 0);

describe('nodes as the published updater behaves', () => {
  it('never swap a damaged image, whatever is doubled, lost and late: what was skipped is noticed', async () => {
    const { made, nodes } = await offered(20, { progress: 'ram' }, { duplicateDown: 0.01, loseDown: 0.02, loseUp: 0.01 });
    await passes(made, 4);
    const done = nodes.filter((node) => node.imageDigest() === sha256(IMAGE));
    const { jumps } = made.responder.counters;
    expect(effects(nodes, 'damaged')).toBe(0);
    expect(jumps).toBeGreaterThan(0);
    expect([done.length, done.length + jumps >= nodes.length]).toEqual([effects(nodes, 'flash'), true]);
    expect(done.length).toBeLessThan(nodes.length);
    // They begin anew once they are restarted, on a link that has become better.
    for (const node of nodes) node.fault('duplicateDown', false);
    for (const node of nodes.filter((one) => !done.includes(one))) {
      await made.clock.run(node.powerOff());
      await made.clock.run(node.powerOn());
    }
    await passes(made, 6);
    expect(nodes.filter((node) => node.imageDigest() !== sha256(IMAGE)).map(({ id }) => id)).toEqual([]);
    expect(effects(nodes, 'damaged')).toBe(0);
  });
});

describe('strict nodes', () => {
  it('come through losses, duplicates, delays and power cuts with the whole image', async () => {
    const faults = { duplicateDown: 0.1, duplicateUp: 0.1, loseDown: 0.1, loseUp: 0.1 };
    const { made, nodes } = await offered(20, { profile: 'strict', progress: 'persisted' }, faults);
    nodes[0]?.fault('cutEachBlock', true);
    nodes[1]?.fault('delayDown', 14_000);
    nodes[2]?.fault('slowLink', 500);
    await passes(made, 8);
    expect(nodes.filter((node) => node.imageDigest() !== sha256(IMAGE)).map(({ id }) => id)).toEqual([]);
    expect(effects(nodes, 'damaged') + effects(nodes, 'bootBack')).toBe(0);
  });
});

describe('a whole session, with the node as the other side (§9.3, §9.4)', () => {
  it.each([
    ['packed', 'reference'],
    ['named', 'reference'],
    ['packed', 'strict'],
    ['named', 'strict'],
  ] as const)('says %s statuses byte for byte, %s', async (encoding, profile) => {
    const clock = new VirtualClock(0);
    const connections = [{ name: 'field', type: 'mqtt' as const }];
    const world = await startSimWorld({ clock, seed: 1, transport: 'memory', connections, clients: networkClients });
    const connection = declaredOf(files(1)).fleet.connections.get('field');
    if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
    const server = await clock.run(world.wires.bus(connection, { role: 'reader' }));
    const session = sessions[encoding];
    const said: string[] = [];
    world.broker('field').onPublish((topic, payload) => {
      if (topic !== 'dfu/n1') return;
      said.push(Buffer.from(payload).toString('hex'));
      const answer = session[2 * said.length - 1];
      if (answer !== undefined) void server.publish('command/inbox/n1/dfu', Buffer.from(answer.hex, 'hex'), { qos: 0 });
    });
    const node = world.addDevice('drogue', 'field', { id: 'n1', firmware: '0.1.0', mtu: 8, correlation: 7, profile, encoding });
    await clock.run(node.powerOn());
    await clock.advance(MINUTE_MS);
    expect(said).toEqual(session.filter(({ from }) => from === 'device').map(({ hex }) => hex));
    expect((node as DrogueSimDevice).imageDigest()).toBe('cb0b638f9fd1fd3d3a5310ef9160d16a8a50e30b8ff1bbeba11897246ebc3275');
    expect(node.effects.map(({ kind }) => kind)).toEqual(['begin', 'swap', 'flash', 'markGood']);
    await clock.run(server.close());
    await world.close();
  });
});

describe('a simulated node', () => {
  it('knows its faults by name', async () => {
    const { nodes } = await offered(1, {}, {});
    const [node] = nodes;
    expect(() => node?.fault('sleepy', true)).toThrow(RangeError);
    for (const name of DROGUE_FAULTS) expect(() => node?.fault(name, false)).not.toThrow();
    expect(node?.faults).toEqual(DROGUE_FAULTS);
  });

  it('keeps an image that was marked good through a loss of power', async () => {
    const { made, nodes } = await offered(1, {}, {});
    const [node] = nodes;
    await passes(made, 2);
    expect(node?.truth()).toEqual({ firmware: '0.1.1' });
    expect(effects(nodes, 'markGood')).toBe(1);
    await made.clock.run(node?.powerOff() ?? Promise.resolve());
    expect(node?.truth()).toEqual({ firmware: '0.1.1' });
    expect(effects(nodes, 'bootBack')).toBe(0);
  });
});
