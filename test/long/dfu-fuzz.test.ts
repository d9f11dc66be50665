import fc from 'fast-check';
import { expect, it } from 'vitest';
import vectors from '#adapters/drogue/fixtures/vectors.json' with { type: 'json' };
import { readState } from '#adapters/drogue/state.ts';
import { decodeCommand } from '#adapters/drogue/wire-commands.ts';
import { encodeStatus } from '#adapters/drogue/wire.ts';
import { Asker } from '#test/support/asker.ts';
import { countOf } from '#test/support/long-share.ts';
import { MemoryJournal } from '#test/support/memory-journal.ts';

const RUNS = countOf(400);
const NODES = ['n1', 'n2', 'n3'] as const;
const IMAGE = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const KNOWN = [...vectors.statuses, ...vectors.oddStatuses].map(({ hex }) => bytes(hex)).filter(({ length }) => length > 0);

interface Event {
  readonly node: (typeof NODES)[number];
  /** `next`: an honest status that goes on where the last answer left off. */
  readonly payload: Uint8Array | 'next' | 'restart' | 'kill' | 'pass';
}

const event: fc.Arbitrary<Event> = fc.record({
  node: fc.constantFrom(...NODES),
  payload: fc.oneof(
    { weight: 12, arbitrary: fc.constant('next' as const) },
    { weight: 1, arbitrary: fc.constantFrom('restart' as const, 'kill' as const, 'pass' as const) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(...KNOWN) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom(...KNOWN), fc.nat(), fc.nat(255)).map(([known, at, byte]) => known.with(at % known.length, byte)),
    },
    {
      weight: 2,
      arbitrary: fc
        .record({ offset: fc.nat(400), mtu: fc.nat(200), update: fc.constantFrom('0.1.0', '0.1.1', '0.1.2') })
        .map(({ offset, mtu, update }) =>
          encodeStatus({ version: '0.1.0', mtu, correlationId: null, update: { version: update, offset } }, 'packed'),
        ),
    },
  ),
});

/** What one node was told of the image since it began. */
class Told {
  end = 0;
  readonly wrong: string[] = [];
  next: Uint8Array = encodeStatus({ version: '0.1.0', mtu: 64, correlationId: null, update: null }, 'packed');

  take(answer: Uint8Array): void {
    const command = decodeCommand(answer);
    if (!command.ok) throw new Error(command.error);
    const { kind } = command.value;
    if (kind === 'Swap' && this.end !== IMAGE.length) this.wrong.push(`Swap after ${this.end} bytes`);
    if (command.value.kind !== 'Write') return;
    const { offset, data } = command.value;
    if (Buffer.compare(data, IMAGE.subarray(offset, offset + data.length)) !== 0) this.wrong.push(`other bytes at ${offset}`);
    if (offset === 0) this.end = 0;
    // Never beyond what was told before: a gap would stay in the image.
    if (offset > this.end) this.wrong.push(`a gap before ${offset}`);
    this.end = Math.max(this.end, offset + data.length);
    const update = { version: '0.1.1', offset: offset + data.length };
    this.next = encodeStatus({ version: '0.1.0', mtu: 64, correlationId: null, update }, 'packed');
  }
}

it(
  `whatever nodes say, in ${RUNS} histories: one answer at the most, no gap in what is told, the journal whole`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), async (events) => {
        const journal = new MemoryJournal();
        const asker = await Asker.start({ journal, rows: NODES.map((node) => `${node}: {}`), image: IMAGE });
        const told = new Map(NODES.map((node) => [node, new Told()]));
        for (const node of NODES) await asker.ask(node, {});
        await asker.release('0.1.1');
        for (const { node, payload } of events) {
          const own = told.get(node) ?? new Told();
          if (payload === 'pass') await asker.fleet.pass();
          else if (payload === 'kill') {
            await asker.fleet.restart();
            await asker.fleet.pass();
          } else {
            if (payload === 'restart') own.next = new Told().next;
            const said = payload === 'next' || payload === 'restart' ? own.next : payload;
            const answers = await asker.send(`dfu/${node}`, said);
            expect(answers.length).toBeLessThanOrEqual(1);
            for (const answer of answers) own.take(answer);
          }
        }
        expect([...told.values()].flatMap(({ wrong }) => wrong)).toEqual([]);
        for (const entry of journal.entries) expect(readState(entry.state)).not.toBeNull();
        await asker.close();
      }),
      { numRuns: RUNS },
    );
  },
);
