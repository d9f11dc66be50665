import { describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import { NodeFlash, type FlashDriver, type Progress } from './sim-flash.ts';
import { Updater, type Profile, type Step } from './sim-updater.ts';
import type { Command } from './wire-commands.ts';

interface Made {
  readonly driver?: FlashDriver;
  readonly profile?: Profile;
  readonly progress?: Progress;
}

/** A node at version 1 with blocks of 8 bytes, as in docs/protocols/drogue-dfu.md §9.7. */
class Bench {
  readonly flash: NodeFlash;
  readonly #profile: Profile;
  updater: Updater;

  constructor({ driver = 'simulator', profile = 'reference', progress = 'ram' }: Made = {}) {
    this.flash = new NodeFlash({ version: '1', driver, progress, writeSize: 4 });
    this.#profile = profile;
    this.updater = this.run();
  }

  run(): Updater {
    this.updater = new Updater(this.flash, { profile: this.#profile, mtu: 8, correlationId: null, backoffMs: 1000 });
    return this.updater;
  }

  /** What the next status says of the transfer after each command. */
  tell(...commands: readonly Command[]): readonly string[] {
    return commands.map((command) => {
      const step = this.updater.take(command);
      return step.kind === 'again' ? this.at() : step.kind;
    });
  }

  at(): string {
    const { update } = this.updater.status();
    return update === null ? '—' : `${update.version},${update.offset}`;
  }
}

function write(version: string, offset: number, length: number): Command {
  return { kind: 'Write', version, correlationId: null, offset, data: new Uint8Array(length).fill(offset + 1) };
}

function swap(version: string, checksum: Uint8Array = new Uint8Array()): Command {
  return { kind: 'Swap', version, correlationId: null, checksum };
}

const IMAGE = [write('2', 0, 8), write('2', 8, 8), write('2', 16, 4)];
const DIGEST = sha256(Uint8Array.from([...Array(8).fill(1), ...Array(8).fill(9), ...Array(4).fill(17)] as number[]));
const checksum = Uint8Array.from(Buffer.from(DIGEST, 'hex'));

describe('the published updater (§9.7)', () => {
  it.each(['simulator', 'embassy', 'strict'] as const)('takes a whole image, with driver %s', (driver) => {
    const bench = new Bench({ driver });
    expect(bench.tell(...IMAGE, swap('2'))).toEqual(['2,8', '2,16', '2,20', 'swap']);
    expect(bench.flash.swap('2', checksum)).toEqual({ version: '2', digest: DIGEST, damaged: false });
  });

  it('goes on counting when another version begins in mid-transfer, without offset check', () => {
    expect(new Bench().tell(write('2', 0, 8), write('2', 8, 8), write('3', 0, 8))).toEqual(['2,8', '2,16', '3,24']);
  });

  it('fails its run there with offset check, and keeps the stale offset', () => {
    const bench = new Bench({ driver: 'embassy' });
    expect(bench.tell(write('2', 0, 8), write('2', 8, 8), write('3', 0, 8))).toEqual(['2,8', '2,16', 'failed']);
    bench.run();
    expect(bench.at()).toBe('3,16');
  });

  it('counts a repeated block twice', () => {
    expect(new Bench().tell(write('2', 0, 8), write('2', 8, 8), write('2', 8, 8))).toEqual(['2,8', '2,16', '2,24']);
    const bench = new Bench();
    expect(bench.tell(write('2', 0, 8), write('2', 0, 8))).toEqual(['2,8', '2,16']);
    expect(bench.updater.began).toBe('2');
  });

  it('says the same again after a timeout or an error', () => {
    const bench = new Bench();
    expect([bench.at(), bench.at(), ...bench.tell(write('2', 0, 8)), bench.at(), ...bench.tell(write('2', 8, 8))]).toEqual([
      '—',
      '—',
      '2,8',
      '2,8',
      '2,16',
    ]);
  });

  it('pauses whole seconds, and by a poll above 0', () => {
    const wait = (poll: number | null): Command => ({ kind: 'Wait', correlationId: null, poll });
    const steps = [wait(null), wait(0), wait(3), { kind: 'Sync', version: '1', correlationId: null, poll: 0 } as const].map((command) =>
      new Bench().updater.take(command),
    );
    expect(steps).toEqual<Step[]>([
      { kind: 'again', pauseMs: 1000 },
      { kind: 'again', pauseMs: 1000 },
      { kind: 'again', pauseMs: 3000 },
      { kind: 'synced', pauseMs: 1000 },
    ]);
    const { flash } = new Bench();
    expect(new Updater(flash, { profile: 'reference', mtu: 8, correlationId: null, backoffMs: 999 }).backoffMs).toBe(0);
  });

  it('marks itself good by a Sync of any version, and swaps to what was never written', () => {
    expect(new Bench().tell({ kind: 'Sync', version: '9', correlationId: null, poll: null })).toEqual(['synced']);
    expect(new Bench().tell(swap('7'))).toEqual(['swap']);
  });

  it('refuses neither a giant block nor an empty one', () => {
    expect(new Bench().tell(write('2', 0, 100))).toEqual(['2,100']);
    const bench = new Bench();
    expect(bench.tell(write('2', 0, 0))).toEqual(['2,0']);
    expect(bench.updater.began).toBe('2');
  });

  it('resumes without beginning anew', () => {
    const bench = new Bench();
    bench.tell(write('2', 0, 8));
    bench.run();
    expect(bench.at()).toBe('2,8');
    expect(bench.tell(write('2', 8, 8), write('2', 16, 4), swap('2'))).toEqual(['2,16', '2,20', 'swap']);
    expect(bench.flash.swap('2', checksum)?.damaged).toBe(false);
  });

  it('boots whatever it holds, damaged or not', () => {
    const bench = new Bench();
    bench.tell(write('2', 0, 8), write('2', 16, 4), swap('2', checksum));
    expect(bench.flash.swap('2', checksum)).toMatchObject({ version: '2', damaged: true });
  });
});

describe('a strict updater', () => {
  const strict = { driver: 'strict', profile: 'strict', progress: 'persisted' } as const;

  it('takes only what follows', () => {
    const bench = new Bench(strict);
    expect(bench.tell(...IMAGE.slice(0, 2), write('2', 8, 8), write('3', 16, 4), write('2', 16, 9), write('2', 16, 0))).toEqual([
      '2,8',
      '2,16',
      'ignored',
      'ignored',
      'ignored',
      'ignored',
    ]);
    expect(bench.tell(swap('3'), { ...swap('2'), correlationId: 4 }, { kind: 'Sync', version: '9', correlationId: null, poll: 1 })).toEqual(
      ['ignored', 'ignored', 'ignored'],
    );
    expect(bench.tell(write('2', 16, 4), swap('2', checksum))).toEqual(['2,20', 'swap']);
  });

  it('begins another version anew at offset 0 alone', () => {
    const bench = new Bench(strict);
    expect(bench.tell(...IMAGE.slice(0, 2), write('3', 0, 8), write('3', 8, 8))).toEqual(['2,8', '2,16', '3,8', '3,16']);
  });

  it('throws away an image whose checksum does not fit', () => {
    const bench = new Bench(strict);
    bench.tell(...IMAGE);
    expect(bench.flash.swap('2', checksum.with(0, 0))).toBeNull();
    bench.run();
    expect(bench.at()).toBe('—');
  });
});

describe('flash', () => {
  it.each([
    ['none', '—', '—'],
    ['ram', '2,8', '—'],
    ['persisted', '2,8', '2,8'],
  ] as const)('that keeps progress %s says %s in the next run and %s after a reset', (progress, next, afterReset) => {
    const bench = new Bench({ progress });
    bench.tell(write('2', 0, 8));
    bench.run();
    expect(bench.at()).toBe(next);
    bench.flash.reset();
    bench.run();
    expect(bench.at()).toBe(afterReset);
  });

  it('goes back at a reset unless the image was marked good', () => {
    const { flash } = new Bench();
    flash.boot({ version: '2', digest: DIGEST, damaged: false });
    expect([flash.onTrial, flash.reset(), flash.running.version]).toEqual([true, true, '1']);
    flash.boot({ version: '2', digest: DIGEST, damaged: false });
    flash.markGood();
    expect([flash.onTrial, flash.reset(), flash.running.version]).toEqual([false, false, '2']);
  });

  it('of the embassy manager pads the last block', () => {
    const flash = new NodeFlash({ version: '1', driver: 'embassy', progress: 'ram', writeSize: 8 });
    flash.start('2');
    flash.write('2', 0, new Uint8Array(8));
    flash.write('2', 8, new Uint8Array(3));
    expect(flash.progress()).toEqual({ version: '2', offset: 16 });
  });
});
