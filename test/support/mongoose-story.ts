import { MINUTE_MS } from '#kit/duration.ts';
import type { Wires } from '#ports/wires.ts';
import type { Checkpoints } from '#ports/world.ts';
import type { PassResult } from '#reconcile/report.ts';
import { MemoryFleet } from './memory-fleet.ts';
import { BUILD, mongooseFiles, type MongooseFiles } from './mongoose-fleet.ts';

/** What boards run that have 1.0.0, and 2.0.0. */
export const [ONE, TWO] = [`1.0.0 ${BUILD}`, `2.0.0 ${BUILD}`];

interface Beside {
  readonly hardware?: Readonly<Record<string, string>>;
  readonly next?: MongooseFiles;
  readonly nextPassMs?: number | null;
  readonly wires?: (wires: Wires) => Wires;
  readonly checkpoints?: Checkpoints;
}

/** A fleet that runs 1.0.0, with 2.0.0 just merged. */
export async function merged(
  written: MongooseFiles,
  { hardware = {}, next = {}, nextPassMs = 60_000, ...options }: Beside = {},
): Promise<MemoryFleet> {
  const every = nextPassMs === null ? {} : { nextPassMs };
  const fleet = await MemoryFleet.start({ files: mongooseFiles(written), ...every, ...options });
  for (const id of written.boards ?? ['b0']) await fleet.add(id, hardware);
  await fleet.clock.advance(MINUTE_MS);
  await fleet.pass({ newLedger: true });
  fleet.repo.commit(mongooseFiles({ ...written, firmware: '2.0.0', ...next }), 'The change');
  return fleet;
}

/** What happened, pass by pass: what was begun, what ended, and the hold of the board where one stands. */
export async function story(fleet: MemoryFleet, passes: number, everyMs: number = MINUTE_MS): Promise<readonly string[]> {
  const lines: string[] = [];
  for (let pass = 0; pass < passes; pass += 1) {
    const { result } = await fleet.pass();
    if (result === null) throw new Error('the pass was refused');
    lines.push(...linesOf(result));
    await fleet.clock.advance(everyMs);
  }
  return lines;
}

/** At most ten passes, a minute apart. */
export async function passesUntil(fleet: MemoryFleet, line: string): Promise<boolean> {
  for (let pass = 0; pass < 10; pass += 1) if ((await story(fleet, 1)).includes(line)) return true;
  return false;
}

function linesOf({ decision, executed }: PassResult): readonly string[] {
  const trouble = executed.flatMap(({ admitted, result }) =>
    result.kind === 'trouble' || result.kind === 'refused' ? [`${admitted.operation.step}: ${result.kind} ${result.evidence}`] : [],
  );
  return [
    ...decision.closed.map(({ closing, code }) => `${closing}${code === null ? '' : ` ${code}`}`),
    ...decision.admitted.map(({ operation, attempt }) => `${operation.step} ${attempt}`),
    ...trouble,
    ...decision.held.map(({ reason, evidence }) => `held ${reason}: ${evidence}`),
  ];
}

/** Kinds of what was done to a board, in order. */
export const happened = (fleet: MemoryFleet, id = 'b0'): readonly string[] => fleet.device(id).effects.map(({ kind }) => kind);
/** What it runs, whatever it says. */
export const runs = (fleet: MemoryFleet, id = 'b0'): string | undefined => fleet.device(id).truth()['firmware'];
