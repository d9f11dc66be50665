import { resolve } from 'node:path';
import { err, ok, type Result } from '#kit/result.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';
import { isCron } from './schedule.ts';

/** What stands on the command line; each may be given in the environment as well, and the command line wins. */
type Flags = Readonly<
  Partial<Record<'repo' | 'branch' | 'schedule' | 'listen' | 'state' | 'only' | 'instance' | 'webhookSecretFile' | 'logLevel', string>>
>;

export interface DaemonSettings {
  readonly repo: string;
  readonly branch: string | null;
  /** Null: what fleet.yaml says. */
  readonly schedule: string | null;
  readonly host: string;
  readonly port: number;
  /** Where the journal is kept, and clones of a remote fleet repo. */
  readonly state: string;
  readonly only: 'passes' | 'responder' | null;
  /** The name of this one of several daemons; null when it is the only one. */
  readonly instance: string | null;
  readonly webhookSecretFile: string | null;
  readonly logLevel: LogLevel;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ENVIRONMENT: Readonly<Record<keyof Flags, string>> = {
  repo: 'HEADGATE_REPO',
  branch: 'HEADGATE_BRANCH',
  schedule: 'HEADGATE_SCHEDULE',
  listen: 'HEADGATE_LISTEN',
  state: 'HEADGATE_STATE',
  only: 'HEADGATE_ONLY',
  instance: 'HEADGATE_INSTANCE',
  webhookSecretFile: 'HEADGATE_WEBHOOK_SECRET_FILE',
  logLevel: 'HEADGATE_LOG_LEVEL',
};

/** Reads settings; the error is all mistakes, one line each, naming the flag and the variable. */
export function readSettings(flags: Flags, env: Environment, cwd: string): Result<DaemonSettings, readonly string[]> {
  const problems: string[] = [];
  const given = (name: keyof Flags): string | undefined => flags[name] ?? (env[ENVIRONMENT[name]] || undefined);
  const wrong = (name: keyof Flags, what: string): void => {
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    problems.push(`${flag} (or ${ENVIRONMENT[name]}): ${JSON.stringify(given(name))} ${what}`);
  };
  const repo = given('repo') ?? cwd;
  const schedule = given('schedule') ?? null;
  if (schedule !== null && !isCron(schedule)) wrong('schedule', 'is no cron expression: write "*/5 * * * *" for every five minutes');
  const listen = listenAt(given('listen') ?? '127.0.0.1:8480');
  if (listen === null) wrong('listen', 'is no address: write 127.0.0.1:8480, [::1]:8480 or a port alone');
  const only = given('only') ?? null;
  if (only !== null && only !== 'passes' && only !== 'responder') wrong('only', 'is neither passes nor responder');
  const instance = given('instance') ?? null;
  if (instance !== null && !/^[A-Za-z0-9_-]{1,32}$/.test(instance)) wrong('instance', 'is no name: up to 32 letters, digits, - and _');
  const level = given('logLevel') ?? 'info';
  const logLevel = LOG_LEVELS.find((known) => known === level);
  if (logLevel === undefined) wrong('logLevel', `is no level: there are ${LOG_LEVELS.join(', ')}`);
  if (problems.length > 0 || listen === null || logLevel === undefined) return err(problems);
  const secretFile = given('webhookSecretFile');
  return ok({
    repo: /^https?:\/\//.test(repo) ? repo : resolve(cwd, repo),
    branch: given('branch') ?? null,
    schedule,
    ...listen,
    state: resolve(cwd, given('state') ?? '.headgate'),
    only: only === 'passes' || only === 'responder' ? only : null,
    instance,
    webhookSecretFile: secretFile === undefined ? null : resolve(cwd, secretFile),
    logLevel,
  });
}

function listenAt(text: string): { readonly host: string; readonly port: number } | null {
  const [, v6, name, port = ''] = /^(?:(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === '' || Number(port) > 65_535) return null;
  return { host: v6 ?? name ?? '127.0.0.1', port: Number(port) };
}
