import { parseDuration } from '#kit/duration.ts';
import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';
import { STORE_FORMS, readStore } from './ledger.ts';
import type { StoreOverride } from './ledger.ts';

export const COMMANDS = ['validate', 'plan', 'apply', 'status', 'comment'] as const;
export type ActionCommand = (typeof COMMANDS)[number];

/** What can fail a step. `failed` always does: it is in the list so that it can stand there alone. */
export const FAIL_ON = ['failed', 'halted', 'changes', 'refused', 'held', 'leave', 'busy', 'warnings'] as const;
export type FailOn = (typeof FAIL_ON)[number];

const DEFAULT_FAIL_ON: readonly FailOn[] = ['failed', 'halted'];

/** What a workflow asks for, read and checked. */
export interface ActionInputs {
  readonly command: ActionCommand;
  readonly path: string;
  readonly ref: string | null;
  readonly base: string | null;
  readonly ledger: StoreOverride | null;
  readonly comment: 'auto' | 'true' | 'false';
  readonly commentFile: string | null;
  readonly plan: string | null;
  readonly listenMs: number | null;
  readonly wait: boolean;
  readonly failOn: ReadonlySet<FailOn>;
  readonly newLedger: boolean;
  readonly acceptEngine: boolean;
  readonly token: string | null;
}

/** Reads the inputs by name; the error names the input and what it may be. */
export function readInputs(input: (name: string) => string): Result<ActionInputs, string> {
  const command = COMMANDS.find((name) => name === input('command'));
  if (command === undefined) return err(`command: ${JSON.stringify(input('command'))} is none of ${COMMANDS.join(', ')}`);
  const flags: Record<string, boolean> = {};
  for (const name of ['wait', 'new-ledger', 'accept-engine']) {
    const value = input(name).trim().toLowerCase();
    if (!['', 'true', 'false'].includes(value)) return err(`${name}: ${JSON.stringify(input(name))} is neither true nor false`);
    flags[name] = value === 'true';
  }
  const listen = input('listen');
  const listenMs = listen === '' ? null : parseDuration(listen);
  if (listenMs === undefined) return err(`listen: ${JSON.stringify(listen)} is no duration: write 90s, 35m or 6h`);
  const asked = input('comment').trim().toLowerCase();
  const comment = asked === '' ? 'auto' : (['auto', 'true', 'false'] as const).find((one) => one === asked);
  if (comment === undefined) return err(`comment: ${JSON.stringify(input('comment'))} is none of auto, true, false`);
  const ledger = input('ledger') === '' ? null : readStore(input('ledger'));
  if (ledger === undefined) return err(`ledger: ${JSON.stringify(input('ledger'))} is no store: write ${STORE_FORMS}`);
  const failOn = readFailOn(input('fail-on'));
  if (!failOn.ok) return failOn;
  return ok({
    command,
    path: input('path') === '' ? '.' : input('path'),
    ref: orNull(input('ref')),
    base: orNull(input('base')),
    ledger,
    comment,
    commentFile: orNull(input('comment-file')),
    plan: orNull(input('plan')),
    listenMs,
    wait: flags['wait'] === true,
    failOn: failOn.value,
    newLedger: flags['new-ledger'] === true,
    acceptEngine: flags['accept-engine'] === true,
    token: orNull(input('token')),
  });
}

/** Names between commas, spaces or line ends. Written out, the list is exactly what was written, and `failed`. */
function readFailOn(text: string): Result<ReadonlySet<FailOn>, string> {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) return ok(new Set(DEFAULT_FAIL_ON));
  const found = new Set<FailOn>(['failed']);
  for (const word of words) {
    const known = FAIL_ON.find((name) => name === word.toLowerCase());
    if (known === undefined) return err(`fail-on: ${JSON.stringify(word)} is none of ${FAIL_ON.join(', ')}`);
    found.add(known);
  }
  return ok(found);
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
