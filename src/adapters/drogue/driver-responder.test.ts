import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { SILENT_LOG } from '#ports/log.ts';
import { Asker, type NodesOptions } from '#test/support/asker.ts';
import { MemoryJournal } from '#test/support/memory-journal.ts';
import sessions from './fixtures/sessions.json' with { type: 'json' };
import vectors from './fixtures/vectors.json' with { type: 'json' };
import { makeDrogueResponder } from './driver-responder.ts';
import { readState } from './state.ts';
import { decodeCommand } from './wire-commands.ts';
import { decodeStatus, encodeStatus } from './wire.ts';

/** The image of docs/protocols/drogue-dfu.md §9.3. */
const IMAGE = Uint8Array.from({ length: 20 }, (_, index) => (7 * index + 3) % 256);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

const open: Asker[] = [];

afterEach(async () => {
  for (const asker of open.splice(0)) await asker.close();
});

async function start(
  options: Partial<NodesOptions> = {},
  answers?: readonly string[],
): Promise<Asker & { readonly journal: MemoryJournal }> {
  const journal = new MemoryJournal();
  const asker = await Asker.start({ rows: ['n1: {}', 'n2: {}', 'n3: {}'], image: IMAGE, ...options, journal }, answers);
  open.push(asker);
  return Object.assign(asker, { journal });
}

/** All nodes have said that they run 0.1.0, and 0.1.1 is offered to them. */
async function offered(options: Partial<NodesOptions> = {}): Promise<Asker & { readonly journal: MemoryJournal }> {
  const asker = await start(options);
  for (const node of ['n1', 'n2', 'n3']) await asker.ask(node, {});
  await asker.release('0.1.1');
  return asker;
}

function jobOf(asker: { readonly journal: MemoryJournal }, device: string) {
  const newest = asker.journal.entries.findLast((entry) => entry.device === device);
  return newest === undefined ? null : (readState(newest.state)?.job ?? null);
}

describe('the responder over a broker', () => {
  it.each([
    ['packed', 'n1'],
    ['named', 'n2'],
  ] as const)('tells a whole session in %s form byte for byte (§9.3, §9.4)', async (encoding, node) => {
    const asker = await offered();
    const told: string[] = [];
    for (const { from, hex: written } of sessions[encoding]) {
      if (from === 'device') told.push(...(await asker.send(`dfu/${node}`, bytes(written))).map(hex));
    }
    expect(told).toEqual(sessions[encoding].filter(({ from }) => from === 'server').map(({ hex: written }) => written));
  });

  it('goes on counting, and a device that is proven converges', async () => {
    const asker = await offered();
    for (const { from, hex: written } of sessions.packed) if (from === 'device') await asker.send('dfu/n1', bytes(written));
    await asker.ask('n1', { version: '0.1.1' });
    const { result } = await asker.fleet.pass();
    expect(result?.decision.closed.map(({ device, closing }) => [device, closing])).toEqual([['n1', 'succeeded']]);
    expect(asker.fleet.responder.counters).toMatchObject({ blocks: 3, bytes: 20, jumps: 0, images: 1, imageBytes: 20 });
    expect(asker.fleet.responder.counters.commands).toEqual({ Wait: 0, Sync: 5, Write: 3, Swap: 1 });
  });

  it('answers each status of the vectors in its own encoding, and none of those that nobody can read', async () => {
    const asker = await start();
    for (const { name, encoding, hex: written } of vectors.statuses) {
      const [answer, ...more] = await asker.send('dfu/n1', bytes(written));
      expect(more, name).toEqual([]);
      const named = Buffer.from(answer ?? []).includes('correlation_id');
      expect([answer?.[0], named], name).toEqual([0xa1, encoding === 'named']);
    }
    for (const { name, verdict, hex: written } of vectors.oddStatuses) {
      expect(await asker.send('dfu/n2', bytes(written)), name).toHaveLength(verdict === 'ok' ? 1 : 0);
    }
    const { ignored } = asker.fleet.responder.counters;
    expect((ignored['UNREADABLE'] ?? 0) + (ignored['TOO_OLD'] ?? 0)).toBe(
      vectors.oddStatuses.filter(({ verdict }) => verdict === 'err').length,
    );
  });

  it('knows who asks by the topic alone', async () => {
    const asker = await offered();
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Write' });
    const [told] = asker.heard.slice(-1);
    expect(told?.topic).toBe('command/inbox/n1/dfu');
    expect(await asker.ask('n9', {})).toBeNull();
    expect(asker.fleet.responder.counters.ignored).toEqual({ UNKNOWN_DEVICE: 1 });
  });

  it('listens and answers where the templates say', async () => {
    const rows = ["n1: { address: a-1, options: { up: 'up/{group}/{device}/fw', down: 'down/{device}' } }", 'n2: { }'];
    const asker = await start({ rows }, ['down/+', 'command/inbox/+/dfu']);
    const status = encodeStatus({ version: '0.1.0', mtu: 8, correlationId: null, update: null }, 'packed');
    expect(await asker.send('up/all/a-1/fw', status)).toHaveLength(1);
    expect(asker.heard.at(-1)?.topic).toBe('down/a-1');
    expect(await asker.send('up/other/a-1/fw', status)).toHaveLength(0);
    expect(await asker.send('dfu/a-1', status)).toHaveLength(0);
    expect(await asker.send('dfu/n2', status)).toHaveLength(1);
  });

  it('writes down what it tells before it tells it', async () => {
    const asker = await offered();
    asker.journal.broken = new Error('no space left');
    expect(await asker.ask('n1', {})).toBeNull();
    expect(await asker.ask('n1', {})).toBeNull();
    expect(asker.fleet.responder.counters.broken).toBe(2);
    asker.journal.broken = null;
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Write', offset: 0 });
    expect(jobOf(asker, 'n1')).toMatchObject({ phase: 'writing', told: { offset: 0, length: 8 } });
  });

  it('writes turns of a transfer to the disk, and blocks past the process', async () => {
    const asker = await offered();
    const kinds: string[] = [];
    for (const status of [{}, { offset: 8 }, { offset: 16 }, { offset: 20 }]) {
      const before = asker.journal.durabilities.length;
      await asker.ask('n1', { update: 'offset' in status ? { version: '0.1.1', offset: status.offset ?? 0 } : null });
      kinds.push(...asker.journal.durabilities.slice(before));
    }
    expect(kinds).toEqual(['disk', 'process', 'process', 'disk']);
  });

  it('goes on in mid-transfer in another process', async () => {
    const asker = await offered();
    await asker.ask('n1', {});
    await asker.at('n1', 8);
    await asker.fleet.restart();
    await asker.fleet.pass();
    expect(await asker.at('n1', 16)).toMatchObject({ kind: 'Write', offset: 16 });
    expect(await asker.at('n1', 20)).toMatchObject({ kind: 'Swap' });
    await asker.fleet.restart();
    await asker.fleet.pass();
    expect(await asker.ask('n1', { version: '0.1.0' })).toMatchObject({ kind: 'Wait' });
    expect(jobOf(asker, 'n1')?.failure?.code).toBe('SWAP_FAILED');
  });

  it('answers a status that the broker delivers twice once, and one that comes again after the patience of a device', async () => {
    const asker = await offered();
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Write' });
    expect(await asker.ask('n1', {}, 300)).toBeNull();
    expect(await asker.ask('n1', {}, 15 * SECOND_MS)).toMatchObject({ kind: 'Write', offset: 0 });
    await asker.fleet.sim.broker('field').faults({ duplicate: true });
    const answers = await asker.send('dfu/n2', encodeStatus({ version: '0.1.0', mtu: 8, correlationId: null, update: null }, 'packed'));
    // The broker of the test doubles the answer as well.
    expect(new Set(answers.map(hex)).size).toBe(1);
    expect(asker.fleet.responder.counters.ignored['DUPLICATE']).toBe(2);
  });

  it('never answers twice to one status, nor of its own accord', async () => {
    const asker = await offered();
    await asker.ask('n1', {});
    const before = asker.heard.length;
    await asker.fleet.clock.advance(30 * MINUTE_MS);
    expect(asker.heard).toHaveLength(before);
  });

  it('serves nobody who was not admitted, and nobody at all while the ledger cannot be read', async () => {
    const asker = await start();
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Sync', poll: 300 });
    expect(await asker.ask('n1', { version: '0.0.7' })).toMatchObject({ kind: 'Wait', poll: 60 });
    for (const node of ['n1', 'n2', 'n3']) await asker.ask(node, {});
    await asker.release('0.1.1');
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Write' });
    await asker.fleet.clock.run(asker.fleet.responder.admit(null));
    expect(await asker.at('n1', 8)).toMatchObject({ kind: 'Wait' });
    expect(await asker.ask('n2', {})).toMatchObject({ kind: 'Wait' });
    await asker.fleet.pass();
    expect(await asker.at('n1', 8)).toMatchObject({ kind: 'Write', offset: 8 });
  });

  it('tells a device of a stopped release to wait, and serves what comes next from its beginning', async () => {
    const asker = await offered();
    await asker.ask('n1', {});
    await asker.release('0.1.2');
    expect(await asker.at('n1', 8)).toMatchObject({ kind: 'Wait' });
    expect(await asker.at('n1', 20)).toMatchObject({ kind: 'Wait' });
    for (const _pass of [1, 2, 3]) await asker.fleet.pass();
    expect(await asker.at('n1', 8)).toMatchObject({ kind: 'Wait' });
    expect(await asker.ask('n1', {})).toMatchObject({ kind: 'Write', version: '0.1.2', offset: 0 });
  });

  it('reads what is put before its health, and marks good by it alone', async () => {
    const rows = ["n1: { options: { telemetry: 'tele/{device}' } }", 'n2: {}', 'n3: {}'];
    const asker = await offered({ rows, group: "health: { battery: '>= 3.5' }\n" });
    for (const offset of [0, 8, 16, 20]) await asker.ask('n1', { update: offset === 0 ? null : { version: '0.1.1', offset } });
    expect(await asker.ask('n1', { version: '0.1.1' })).toMatchObject({ kind: 'Wait', poll: 15 });
    await asker.send('tele/n1', Buffer.from('{"battery":3.1}'));
    expect(await asker.ask('n1', { version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
    await asker.send('tele/n1', Buffer.from('{"battery":3.9}'));
    expect(await asker.ask('n1', { version: '0.1.1' })).toMatchObject({ kind: 'Sync', version: '0.1.1' });
  });

  it('fails a device by verdict when its trial ends, and never marks that image good', async () => {
    const rows = ["n1: { options: { telemetry: 'tele/{device}' } }", 'n2: {}', 'n3: {}'];
    const asker = await offered({ rows, group: "health: { battery: '>= 3.5' }\n" });
    for (const offset of [0, 8, 16, 20]) await asker.ask('n1', { update: offset === 0 ? null : { version: '0.1.1', offset } });
    await asker.ask('n1', { version: '0.1.1' });
    await asker.fleet.clock.advance(15 * MINUTE_MS);
    await asker.send('tele/n1', Buffer.from('{"battery":3.9}'));
    for (const _time of [1, 2]) expect(await asker.ask('n1', { version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
    const { result } = await asker.fleet.pass();
    expect(result?.decision.held.find(({ device }) => device === 'n1')).toMatchObject({ reason: 'FAILED' });
    for (const _time of [1, 2]) expect(await asker.ask('n1', { version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
  });

  it('tells news of a swap that failed, once', async () => {
    const asker = await offered();
    const news: string[] = [];
    asker.fleet.responder.onNews((device) => void news.push(device));
    for (const offset of [0, 8, 16, 20]) await asker.ask('n1', { update: offset === 0 ? null : { version: '0.1.1', offset } });
    expect(news).toEqual([]);
    await asker.ask('n1', {});
    await asker.ask('n1', {});
    expect(news).toEqual(['n1']);
  });

  it('tells devices behind one gateway apart by their ids, and others there to wait', async () => {
    const rows = [1, 2].map((id) => `n${id}: { options: { gateway: barn, correlation: ${id} } }`);
    const asker = await start({ rows: [...rows, 'n3: {}'] });
    for (const id of [1, 2]) expect(await asker.ask('barn', { correlationId: id })).toMatchObject({ kind: 'Sync', correlationId: id });
    await asker.release('0.1.1');
    for (const id of [2, 1]) expect(await asker.ask('barn', { correlationId: id })).toMatchObject({ kind: 'Write', correlationId: id });
    expect(await asker.ask('barn', { correlationId: 2, update: { version: '0.1.1', offset: 8 } })).toMatchObject({
      kind: 'Write',
      offset: 8,
    });
    expect(await asker.ask('barn', { correlationId: 1 })).toMatchObject({ kind: 'Write', offset: 0, correlationId: 1 });
    for (const id of [3, null]) expect(await asker.ask('barn', { correlationId: id })).toMatchObject({ kind: 'Wait', correlationId: id });
    expect(asker.fleet.responder.counters.ignored['STRANGER']).toBe(2);
  });

  it('drains within five seconds, and answers nothing after that', async () => {
    const asker = await offered();
    const before = asker.fleet.clock.now();
    await asker.fleet.clock.run(asker.fleet.responder.close());
    expect(asker.fleet.clock.now() - before).toBeLessThanOrEqual(5 * SECOND_MS);
    expect(await asker.ask('n1', {})).toBeNull();
  });
});

describe('an image', () => {
  it('is held once for all who fetch it, and let go when nobody is offered it any more', async () => {
    const image = Uint8Array.from({ length: 5000 }, (_, index) => index & 0xff);
    const asker = await offered({ image });
    const got: Buffer[] = [];
    for (const node of ['n1', 'n2', 'n3']) {
      for (let offset = 0; offset < image.length;) {
        const command = await asker.ask(node, { mtu: 2000, update: offset === 0 ? null : { version: '0.1.1', offset } });
        if (command?.kind !== 'Write') throw new Error('no block');
        got.push(Buffer.from(command.data));
        offset += command.data.length;
      }
      expect(asker.fleet.responder.counters).toMatchObject({ images: 1, imageBytes: 5000 });
    }
    expect(createHash('sha256').update(Buffer.concat(got)).digest('hex')).toBe(
      createHash('sha256')
        .update(Buffer.concat([image, image, image]))
        .digest('hex'),
    );
    await asker.release('0.1.0');
    for (const _pass of [1, 2, 3]) await asker.fleet.pass();
    expect(asker.fleet.responder.counters).toMatchObject({ images: 0, imageBytes: 0 });
  });
});

describe('an image that comes from elsewhere', () => {
  const sha256 = createHash('sha256').update(IMAGE).digest('hex');

  it.each([
    ['a bucket', `from: 'depot:node.bin', sha256: ${sha256}`],
    ['a server', `from: 'http://files.sim/node.bin', sha256: ${sha256}`],
  ])('%s is verified before its first block is told', async (_name, from) => {
    const asker = await start({ from });
    const put = async (image: Uint8Array): Promise<void> => {
      asker.fleet.sim.artifactServer.put('node.bin', image);
      await asker.fleet.sim.bucket('depot').put('node.bin', image);
    };
    await put(IMAGE.with(3, 0));
    for (const node of ['n1', 'n2', 'n3']) await asker.ask(node, {});
    await asker.release('0.1.1');
    for (const _time of [1, 2, 3]) expect((await asker.ask('n1', {}, MINUTE_MS))?.kind).toMatch(/^(Wait|Sync)$/);
    await put(IMAGE);
    await asker.fleet.clock.advance(10 * MINUTE_MS);
    await asker.fleet.pass();
    await asker.ask('n1', {});
    const first = await asker.ask('n1', {}, MINUTE_MS);
    expect(first?.kind === 'Write' && hex(first.data)).toBe(hex(IMAGE.subarray(0, 8)));
  });
});

describe('several responders on one broker', () => {
  it('do not answer at all where the broker cannot share: each would, and a block that comes twice damages an image', async () => {
    const asker = await start();
    const { fleet } = asker;
    const connection = fleet.declared.fleet.connections.get('field');
    if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
    const view = fleet.engine.fold(await fleet.clock.run(fleet.ledger.read()));
    const { artifacts } = await fleet.clock.run(fleet.engine.drivers(fleet.declared, 'reader', fleet.ledger.blobs));
    const told: string[] = [];
    const responder = makeDrogueResponder({
      clock: fleet.clock,
      log: { ...SILENT_LOG, warn: (message) => void told.push(message) },
      artifacts,
      journal: new MemoryJournal(),
      bus: () => fleet.sim.wires.bus(connection, { role: 'reader' }),
      share: 'a',
    });
    await fleet.clock.run(responder.admit({ declared: fleet.declared, view, older: [] }));
    await asker.ask('n1', {});
    expect(responder.counters.statuses).toBe(0);
    expect(responder.counters.broken).toBeGreaterThan(0);
    expect(new Set(told)).toEqual(new Set(['broker not available']));
    await fleet.clock.run(responder.close());
  });
});

function isSwap(told: Uint8Array): boolean {
  const command = decodeCommand(told);
  return command.ok && command.value.kind === 'Swap';
}

/** Whether a status says that the device has all of what is offered. */
function saysWhole(payload: Uint8Array): boolean {
  const status = decodeStatus(payload);
  const update = status.ok ? status.value.status.update : null;
  return update?.version === '0.1.1' && update.offset >= IMAGE.length;
}

describe('hostile devices', () => {
  it('bring nothing down, are told to swap only what they say they have whole, and leave the journal whole', async () => {
    const asker = await offered();
    const known = [...vectors.statuses, ...vectors.oddStatuses]
      .map(({ hex: written }) => bytes(written))
      .filter(({ length }) => length > 0);
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(...known),
      fc.tuple(fc.constantFrom(...known), fc.nat(), fc.nat(255)).map(([status, at, byte]) => status.with(at % status.length, byte)),
      fc.tuple(fc.constantFrom(...known), fc.nat()).map(([status, length]) => status.slice(0, length % (status.length + 1))),
      fc
        .record({ offset: fc.nat(40), mtu: fc.nat(30), version: fc.constantFrom('0.1.0', '0.1.1', '0.1.2') })
        .map(({ offset, mtu, version }) =>
          encodeStatus({ version: '0.1.0', mtu, correlationId: null, update: { version, offset } }, 'packed'),
        ),
    );
    const topic = fc.constantFrom('dfu/n1', 'dfu/n2', 'dfu/n4', 'headgate/dfu/x', 'command/inbox/n1/dfu');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(topic, payload), { maxLength: 12 }), async (messages) => {
        for (const [where, what] of messages) {
          const told = await asker.send(where, what, 1500);
          if (where.startsWith('dfu/') && told.some(isSwap)) expect(saysWhole(what), hex(what)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
    for (const entry of asker.journal.entries) expect(readState(entry.state)).not.toBeNull();
    expect(await asker.ask('n3', {})).toMatchObject({ kind: 'Write', offset: 0 });
    await asker.fleet.restart();
    await asker.fleet.pass();
    // By now its wave may have halted for what was said in the name of the others.
    expect(await asker.at('n3', 8)).toMatchObject({ correlationId: null });
  });
});
