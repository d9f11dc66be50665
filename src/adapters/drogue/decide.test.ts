import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { digest } from '#model/ids.ts';
import { decide, type Question, type Target } from './decide.ts';
import sessions from './fixtures/sessions.json' with { type: 'json' };
import { drogueOptions } from './options.ts';
import { NOTHING_KNOWN, readState, stateJson, type DeviceState } from './state.ts';
import { type Command, encodeCommand } from './wire-commands.ts';
import { decodeStatus, type Status } from './wire.ts';

const IMAGE = Uint8Array.from({ length: 20 }, (_, index) => (7 * index + 3) % 256);
const SHA = Uint8Array.from(createHash('sha256').update(IMAGE).digest());

function target(change: Partial<Target> = {}): Target {
  const own = { operation: 'op-1', release: 'r-1', version: '0.1.1', digest: digest(Buffer.from(SHA).toString('hex')) };
  return { ...own, health: [], before: undefined, ...change };
}

/** A responder and one device, without wire: each status is answered in turn, on a clock of its own. */
class Dialogue {
  state: DeviceState = NOTHING_KNOWN;
  now = 1_000_000;
  turns = 0;
  question: Partial<Question>;

  constructor(question: Partial<Question> = {}) {
    this.question = { target: target(), settled: [], ...question };
  }

  say(status: Partial<Status>, change: Partial<Question> = {}): Command {
    this.now += 1000;
    this.question = { ...this.question, ...change };
    const answer = decide({
      options: drogueOptions({}),
      target: null,
      settled: [],
      image: () => ({ kind: 'ready', bytes: IMAGE, checksum: SHA }),
      ...this.question,
      status: { status: { version: '0.1.0', mtu: 8, correlationId: null, update: null, ...status }, encoding: 'packed', warnings: [] },
      now: this.now,
      state: this.state,
    });
    const kept = readState(stateJson(answer.state));
    if (kept === null || !isDeepStrictEqual(kept, answer.state)) throw new Error('a state is not read back');
    this.state = kept;
    if (answer.turn) this.turns += 1;
    return answer.command;
  }

  at(offset: number, change: Partial<Question> = {}): Command {
    return this.say({ update: { version: '0.1.1', offset } }, change);
  }

  toSwap(): Command {
    this.say({});
    for (const offset of [8, 16]) this.at(offset);
    return this.at(20);
  }
}

describe('a whole session (§9.3, §9.4)', () => {
  it.each(['packed', 'named'] as const)('is told %s byte for byte', (encoding) => {
    let state = NOTHING_KNOWN;
    let now = 0;
    const answers: string[] = [];
    for (const { from, hex } of sessions[encoding]) {
      if (from === 'server') continue;
      const status = decodeStatus(Buffer.from(hex, 'hex'));
      if (!status.ok) throw new Error(status.error.message);
      now += 1000;
      const image = () => ({ kind: 'ready', bytes: IMAGE, checksum: SHA }) as const;
      const answer = decide({ status: status.value, now, state, options: drogueOptions({}), target: target(), settled: [], image });
      state = answer.state;
      answers.push(Buffer.from(encodeCommand(answer.command, status.value.encoding)).toString('hex'));
    }
    expect(answers).toEqual(sessions[encoding].filter(({ from }) => from === 'server').map(({ hex }) => hex));
    expect(state.job).toMatchObject({ phase: 'synced', provenAt: null });
  });
});

describe('a device that is not admitted', () => {
  it('waits, whatever it says', () => {
    const dialogue = new Dialogue({ target: null });
    expect(dialogue.say({})).toEqual({ kind: 'Wait', correlationId: null, poll: 60 });
    expect(dialogue.say({ correlationId: 9, version: '0xff' })).toMatchObject({ kind: 'Wait', correlationId: 9 });
    expect(dialogue.at(8)).toMatchObject({ kind: 'Wait' });
    expect(dialogue.state.job).toBeNull();
  });

  it('is told that all is well when it runs what its release declares', () => {
    const dialogue = new Dialogue({ target: null, settled: ['0.1.0'] });
    expect(dialogue.say({})).toEqual({ kind: 'Sync', version: '0.1.0', correlationId: null, poll: 300 });
    expect(dialogue.at(8)).toMatchObject({ kind: 'Wait' });
    expect(dialogue.say({ version: '0.0.9' })).toMatchObject({ kind: 'Wait' });
  });
});

describe('blocks', () => {
  it.each([
    ['none', null, {}, 20],
    ['0, which is none', 0, {}, 20],
    ['1', 1, {}, 1],
    ['a giant one', 4_294_967_295, {}, 20],
    ['a giant one, clamped', 4_294_967_295, { maxBlock: 7 }, 7],
    ['none, with a declared one', null, { mtu: 5 }, 5],
  ])('of mtu %s', (_name, mtu, options, length) => {
    const dialogue = new Dialogue({ options: drogueOptions(options) });
    expect(dialogue.say({ mtu })).toMatchObject({ kind: 'Write', offset: 0, data: { length } });
    expect(dialogue.state.heard?.warnings).toEqual(mtu === 0 ? ['MTU_ZERO'] : []);
  });

  it('are cut out of the one image, not copied', () => {
    const command = new Dialogue().say({});
    expect(command.kind === 'Write' && command.data.buffer === IMAGE.buffer).toBe(true);
  });

  it('need not be a multiple of the mtu, which may change in between', () => {
    const dialogue = new Dialogue();
    dialogue.say({ mtu: 3 });
    const update = { version: '0.1.1', offset: 3 };
    expect(dialogue.say({ mtu: 5, update })).toMatchObject({ offset: 3, data: { length: 5 } });
    expect(dialogue.say({ mtu: 100, update: { ...update, offset: 8 } })).toMatchObject({ offset: 8, data: { length: 12 } });
    expect(dialogue.at(20)).toMatchObject({ kind: 'Swap', checksum: SHA });
  });

  it('are told again to a device that repeats itself, with nothing new to be remembered', () => {
    const dialogue = new Dialogue();
    dialogue.say({});
    const first = dialogue.at(8);
    const turns = dialogue.turns;
    expect(dialogue.at(8)).toEqual(first);
    expect(dialogue.turns).toBe(turns);
    expect(dialogue.at(16)).toMatchObject({ offset: 16 });
  });

  it('wait for an image that is still being fetched, and soon', () => {
    const dialogue = new Dialogue({ image: () => ({ kind: 'loading' }) });
    expect(dialogue.say({})).toMatchObject({ kind: 'Wait', poll: 5 });
    expect(dialogue.state.job).toBeNull();
    expect(dialogue.say({}, { image: () => ({ kind: 'missing', why: 'gone' }) })).toMatchObject({ kind: 'Wait', poll: 60 });
  });

  it('begin at 0 for a gateway that holds an empty update (S10), and for a device that lost what it held', () => {
    const dialogue = new Dialogue();
    expect(dialogue.say({ update: { version: '0x', offset: 0 } })).toMatchObject({ kind: 'Write', offset: 0 });
    dialogue.at(8);
    expect(dialogue.say({})).toMatchObject({ kind: 'Write', offset: 0 });
    expect(dialogue.at(8)).toMatchObject({ kind: 'Write', offset: 8 });
  });
});

describe('an offset jump (§7.2)', () => {
  it('ends the transfer: no Swap is ever told for it', () => {
    const dialogue = new Dialogue();
    dialogue.say({});
    dialogue.at(8);
    expect(dialogue.at(24)).toMatchObject({ kind: 'Wait' });
    for (const offset of [24, 16, 8, 20, 4096]) expect(dialogue.at(offset)).toMatchObject({ kind: 'Wait' });
    expect(dialogue.state.job).toMatchObject({ phase: 'jumped', jumps: 1 });
    expect(dialogue.say({})).toMatchObject({ kind: 'Write', offset: 0 });
    for (const offset of [8, 16]) dialogue.at(offset);
    expect(dialogue.at(20)).toMatchObject({ kind: 'Swap' });
  });

  it('backwards is one as well', () => {
    const dialogue = new Dialogue();
    dialogue.say({});
    dialogue.at(8);
    dialogue.at(16);
    expect(dialogue.at(8)).toMatchObject({ kind: 'Wait' });
  });

  it('begins anew at once where that is safe', () => {
    const dialogue = new Dialogue({ options: drogueOptions({ restartSafe: true }) });
    dialogue.say({});
    expect(dialogue.at(16)).toMatchObject({ kind: 'Write', offset: 0 });
  });

  it('three times over is a verdict', () => {
    const dialogue = new Dialogue();
    for (let time = 0; time < 3; time += 1) {
      dialogue.say({});
      dialogue.at(16);
    }
    expect(dialogue.state.job).toMatchObject({ phase: 'failed', failure: { code: 'TRANSFER_BROKEN' } });
    expect(dialogue.say({})).toMatchObject({ kind: 'Wait' });
  });

  it.each([
    [21, 'Swap'],
    [83, 'Swap'],
    [84, 'Wait'],
  ])('is not the padding of the last block: %i of 20 is answered by %s', (offset, kind) => {
    const dialogue = new Dialogue();
    dialogue.say({});
    dialogue.at(8);
    dialogue.at(16);
    expect(dialogue.at(offset)).toMatchObject({ kind });
  });

  it('is what an image looks like that another server began', () => {
    expect(new Dialogue().at(8)).toMatchObject({ kind: 'Wait' });
    expect(new Dialogue({ options: drogueOptions({ verifies: true }) }).at(8)).toMatchObject({ kind: 'Write', offset: 8 });
    expect(new Dialogue({ options: drogueOptions({ restartSafe: true }) }).at(8)).toMatchObject({ kind: 'Write', offset: 0 });
  });

  it('never leads to a Swap, whatever a device without offset check goes through', () => {
    const events = fc.array(fc.constantFrom('next' as const, 'twice' as const, 'lost' as const, 'reboot' as const), { maxLength: 60 });
    fc.assert(
      fc.property(events, (happenings) => {
        const dialogue = new Dialogue();
        let held: number[] | null = null;
        let offset = 0;
        for (const what of happenings) {
          const command = dialogue.say(held === null ? {} : { update: { version: '0.1.1', offset } });
          if (command.kind === 'Swap') {
            expect(held).toEqual([...IMAGE]);
            return;
          }
          if (what === 'reboot') [held, offset] = [null, 0];
          if (command.kind !== 'Write' || what === 'lost' || what === 'reboot') continue;
          for (let time = 0; time < (what === 'twice' ? 2 : 1); time += 1) {
            held = command.offset === 0 && held === null ? [] : (held ?? []);
            for (const [index, byte] of command.data.entries()) held[command.offset + index] = byte;
            offset += command.data.length;
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a block that comes twice (§7.2)', () => {
  const big = Uint8Array.from({ length: 3001 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
  const image = () => ({ kind: 'ready', bytes: big, checksum: SHA }) as const;

  it.each([16, 100, 128, 512, 1024])('never looks like the next one, at mtu %i', (mtu) => {
    const dialogue = new Dialogue({ image });
    let before: Command | null = null;
    for (let offset = 0; offset < big.length;) {
      const update = offset === 0 ? null : { version: '0.1.1', offset };
      const command = dialogue.say({ mtu, update });
      if (command.kind !== 'Write') throw new Error(`told ${command.kind} at ${offset}`);
      expect(command.data.length).toBeLessThanOrEqual(mtu);
      if (before?.kind === 'Write') expect(command.data.length).not.toBe(before.data.length);
      expect(dialogue.say({ mtu, update })).toEqual(command);
      before = command;
      offset += command.data.length;
    }
    expect(dialogue.say({ mtu, update: { version: '0.1.1', offset: big.length } })).toMatchObject({ kind: 'Swap' });
  });

  it('is not told apart for a device that compares the checksum, which gets all that it takes', () => {
    const dialogue = new Dialogue({ image, options: drogueOptions({ verifies: true }) });
    const lengths = [0, 512, 1024].map((offset) => {
      const command = dialogue.say({ mtu: 512, update: offset === 0 ? null : { version: '0.1.1', offset } });
      return command.kind === 'Write' ? command.data.length : 0;
    });
    expect(lengths).toEqual([512, 512, 512]);
  });

  it('never leads to a Swap of a damaged image, whatever is lost, late and doubled, in order', () => {
    const odd = fc.constantFrom('twice' as const, 'lost' as const, 'late' as const);
    const happening = fc.oneof({ weight: 9, arbitrary: fc.constant('taken' as const) }, { weight: 1, arbitrary: odd });
    fc.assert(
      fc.property(
        fc.array(happening, { minLength: 10, maxLength: 150 }),
        fc.constantFrom(24, 64, 128, 200, 512),
        fc.boolean(),
        (happenings, mtu, drains) => {
          const dialogue = new Dialogue({ image });
          const held = new Uint8Array(2 * big.length);
          const queue: Command[] = [];
          let [offset, began] = [0, false];
          for (const what of happenings) {
            // A client that looks only at what comes behind its status, or at all that ever came.
            if (drains) queue.length = 0;
            const command = dialogue.say({ mtu, update: began ? { version: '0.1.1', offset } : null });
            if (what !== 'lost') queue.push(command);
            if (what === 'twice') queue.push(command);
            // What is late is taken behind the next status, and the timeout repeats this one.
            const taken = what === 'late' ? undefined : queue.shift();
            const again = what === 'twice' && drains ? queue.shift() : undefined;
            for (const one of [taken, again]) {
              if (one?.kind === 'Swap') {
                expect(held.subarray(0, big.length)).toEqual(big);
                return;
              }
              if (one?.kind !== 'Write') continue;
              held.set(one.data, one.offset);
              offset += one.data.length;
              began = true;
            }
          }
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe('a target that changes in mid-transfer (§7.3)', () => {
  const newer = target({ operation: 'op-2', release: 'r-2', version: '0.1.2', digest: digest('2') });

  it('leaves the version that the device receives pinned until it holds nothing of it', () => {
    const dialogue = new Dialogue();
    dialogue.say({});
    expect(dialogue.at(8, { target: newer })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.at(8)).toMatchObject({ kind: 'Wait' });
    expect(dialogue.say({})).toMatchObject({ kind: 'Write', version: '0.1.2', offset: 0 });
  });

  it('is told at once where that is safe', () => {
    const dialogue = new Dialogue({ options: drogueOptions({ restartSafe: true }) });
    dialogue.say({});
    expect(dialogue.at(8, { target: newer })).toMatchObject({ kind: 'Write', version: '0.1.2', offset: 0 });
  });

  it('is none when the same bytes are offered again', () => {
    const dialogue = new Dialogue();
    dialogue.say({});
    dialogue.at(8);
    expect(dialogue.at(16, { target: target({ operation: 'op-3' }) })).toMatchObject({ kind: 'Write', offset: 16 });
    expect(dialogue.state.job?.operation).toBe('op-3');
  });

  it('that is stopped waits until a status without update', () => {
    const dialogue = new Dialogue({ settled: ['0.1.0'] });
    dialogue.say({});
    expect(dialogue.at(8, { target: null })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.at(8)).toMatchObject({ kind: 'Wait' });
    expect(dialogue.at(8, { target: target() })).toMatchObject({ kind: 'Write', offset: 8 });
    expect(dialogue.say({}, { target: null })).toMatchObject({ kind: 'Sync', version: '0.1.0' });
    expect(dialogue.state.job).toBeNull();
  });
});

describe('after the swap', () => {
  it('repeats a Swap that was lost', () => {
    const dialogue = new Dialogue();
    const first = dialogue.toSwap();
    expect(first).toMatchObject({ kind: 'Swap', checksum: SHA });
    expect(dialogue.at(20)).toEqual(first);
    expect(dialogue.state.job?.swaps).toBe(1);
  });

  it.each([
    ['comes back with the old version', '0.1.0', 'SWAP_FAILED'],
    ['comes back with a third one', '0.0.7', 'WRONG_VERSION'],
  ])('a device that %s has failed', (_name, version, code) => {
    const dialogue = new Dialogue();
    dialogue.toSwap();
    expect(dialogue.say({ version })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.state.job).toMatchObject({ phase: 'failed', failure: { code } });
    for (let time = 0; time < 3; time += 1) expect(dialogue.say({ version })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.say({ version }, { target: null, settled: [version] })).toMatchObject({ kind: 'Sync', version });
    const again = target({ operation: 'op-9' });
    expect(dialogue.say({ version }, { target: again })).toMatchObject({ kind: 'Write', offset: 0 });
  });

  it('is tried once more where that is declared', () => {
    const dialogue = new Dialogue({ options: drogueOptions({ swapAttempts: 2 }) });
    dialogue.toSwap();
    expect(dialogue.toSwap()).toMatchObject({ kind: 'Swap' });
    dialogue.say({});
    expect(dialogue.state.job?.failure?.code).toBe('SWAP_FAILED');
  });

  it('is marked good by the first status when no health is declared, and proven by the next', () => {
    const dialogue = new Dialogue();
    dialogue.toSwap();
    expect(dialogue.say({ version: '0.1.1' })).toEqual({ kind: 'Sync', version: '0.1.1', correlationId: null, poll: 300 });
    expect(dialogue.state.job?.provenAt).toBeNull();
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Sync' });
    expect(dialogue.state.job?.provenAt).toBe(dialogue.now);
    expect(dialogue.say({ version: '0.1.1' }, { target: null })).toMatchObject({ kind: 'Sync' });
    expect(dialogue.say({ version: '0.1.0' })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.state.job).toBeNull();
  });

  it('a device that boots back after it ran has failed, also when Sync was lost on the way', () => {
    for (const health of [[], [{ measure: 'battery', test: 'at-least', value: '3' } as const]]) {
      const dialogue = new Dialogue({ target: target({ health }) });
      dialogue.toSwap();
      dialogue.say({ version: '0.1.1' });
      expect(dialogue.say({ version: '0.1.0' })).toMatchObject({ kind: 'Wait' });
      expect(dialogue.state.job?.failure?.code).toBe('BOOTED_BACK');
    }
  });
});

describe('a trial', () => {
  const health = [{ measure: 'battery', test: 'at-least', value: '3.5' } as const];

  function swapped(): Dialogue {
    const dialogue = new Dialogue({ target: target({ health }) });
    dialogue.state = { ...NOTHING_KNOWN, measures: { battery: { value: '4.0', at: 1 } } };
    dialogue.toSwap();
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Wait', poll: 15 });
    return dialogue;
  }

  function measure(dialogue: Dialogue, value: string): void {
    dialogue.state = { ...dialogue.state, measures: { battery: { value, at: dialogue.now + 1 } } };
  }

  it('ends with Sync when its own health holds, by a reading of the new image', () => {
    const dialogue = swapped();
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
    measure(dialogue, '3.0');
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
    measure(dialogue, '3.9');
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Sync', version: '0.1.1' });
  });

  it('fails by verdict when it does not hold in time; Sync is never told for that release', () => {
    const dialogue = swapped();
    dialogue.now += 15 * MINUTE_MS;
    measure(dialogue, '3.9');
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Wait' });
    expect(dialogue.state.job?.failure).toMatchObject({ code: 'TRIAL_FAILED' });
    for (const change of [{}, { target: null }, { target: null, settled: ['0.1.0'] }]) {
      expect(dialogue.say({ version: '0.1.1' }, change)).toMatchObject({ kind: 'Wait' });
    }
  });

  it('is not passed without its offer', () => {
    const dialogue = swapped();
    measure(dialogue, '3.9');
    expect(dialogue.say({ version: '0.1.1' }, { target: null, settled: ['0.1.0'] })).toMatchObject({ kind: 'Wait' });
  });

  it('is begun for a device that runs the version already', () => {
    const dialogue = new Dialogue({ target: target({ health }) });
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Wait', poll: 15 });
    measure(dialogue, '3.9');
    expect(dialogue.say({ version: '0.1.1' })).toMatchObject({ kind: 'Sync' });
  });
});
