import { parseDuration } from '#kit/duration.ts';
import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';

export const COMMANDS = ['validate', 'plan', 'apply'] as const;
export type ActionCommand = (typeof COMMANDS)[number];

/** What a workflow asks for, read and checked. */
export interface ActionInputs {
  readonly command: ActionCommand;
  readonly path: string;
  readonly ref: string | null;
  readonly base: string | null;
  readonly plan: string | null;
  readonly listenMs: number | null;
  readonly wait: boolean;
  readonly newLedger: boolean;
  readonly acceptEngine: boolean;
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
  return ok({
    command,
    path: input('path') === '' ? '.' : input('path'),
    ref: orNull(input('ref')),
    base: orNull(input('base')),
    plan: orNull(input('plan')),
    listenMs,
    wait: flags['wait'] === true,
    newLedger: flags['new-ledger'] === true,
    acceptEngine: flags['accept-engine'] === true,
  });
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
