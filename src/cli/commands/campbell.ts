import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import { benchLogger, type BenchAction, type BenchRequest } from '#world.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, declaredOf, ledgerOf, outputs, withFleet, withTroubles, type Fleet } from '#cli/fleet.ts';
import type { RepoFlags } from '#cli/flags.ts';

export interface CampbellFlags extends RepoFlags {
  readonly url?: string;
  readonly base?: string;
  readonly dialect?: Dialect;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly force: boolean;
}

export interface PutFlags extends CampbellFlags {
  readonly runs: boolean;
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
}

export interface HistoryFlags extends CampbellFlags {
  readonly start?: string;
  readonly end?: string;
}

type Dialect = BenchRequest['dialect'];
type Target = Pick<BenchRequest, 'connection' | 'baseTopic' | 'address' | 'dialect'>;

const LOCAL = { host: '127.0.0.1', port: 0, publicUrl: null } as const;

/** `headgate campbell ls LOGGER`, and its siblings that need no more than names. */
export function campbellAction(make: (...rest: readonly string[]) => BenchAction) {
  return (context: CliContext, flags: CampbellFlags, ...[logger = '', ...rest]: readonly string[]): Promise<void> =>
    act(context, flags, { logger, action: make(...rest), serve: LOCAL });
}

/** The only command that brings a file runs it too, so that has to be said. */
export function campbellPut(context: CliContext, flags: PutFlags, ...[logger, path]: readonly [string, string]): Promise<void> {
  return withTroubles(context, async () => {
    if (!flags.runs) {
      throw new CliTrouble(
        'RUNS',
        'a file comes to a logger as its program only, which runs at once and erases tables: say --runs if that is meant',
      );
    }
    const bytes = await readFile(resolve(context.cli.cwd, path)).catch(() => {
      throw new CliTrouble('NOT_FOUND', `cannot read ${path}`);
    });
    const { host, port, publicUrl = null } = flags;
    const action = { kind: 'put', file: basename(path), bytes } as const;
    await act(context, flags, { logger, action, serve: { host, port, publicUrl } });
    return Number(context.process.exitCode ?? 0);
  });
}

export function campbellHistory(context: CliContext, flags: HistoryFlags, ...[logger, table]: readonly [string, string]): Promise<void> {
  return withTroubles(context, async () => {
    const { start, end } = flags;
    if ((start === undefined) !== (end === undefined)) throw new CliTrouble('BAD_RANGE', '--start and --end go together');
    const range = start === undefined || end === undefined ? null : { start: start.replace(/Z$/, ''), end: end.replace(/Z$/, '') };
    await act(context, flags, { logger, action: { kind: 'history', table, range }, serve: LOCAL });
    return Number(context.process.exitCode ?? 0);
  });
}

interface Job {
  readonly logger: string;
  readonly action: BenchAction;
  readonly serve: BenchRequest['serve'];
}

async function act(context: CliContext, flags: CampbellFlags, job: Job): Promise<void> {
  if (flags.url !== undefined) {
    await withTroubles(context, async () => await perform(context, await targetOf(context, flags, job.logger), job));
    return;
  }
  await withFleet(context, flags, async (fleet) => {
    const declared = await declaredOf(fleet, {});
    const device = loggerIn(declared, job.logger);
    if (!flags.force && job.action.kind !== 'watch' && job.action.kind !== 'get') await refuseWhileOpen(fleet, declared, device);
    return await perform(context, declaredTarget(declared, device, flags), job);
  });
}

async function perform(context: CliContext, target: Target, job: Job): Promise<number> {
  const { cli } = context;
  const { out, note } = outputs(context);
  const options = {
    env: cli.env,
    ...(cli.clock === undefined ? {} : { clock: cli.clock }),
    ...(cli.wires === undefined ? {} : { wires: cli.wires }),
  };
  const done = await benchLogger(options, job.action, { ...target, serve: job.serve, signal: cli.signal, tell: out, note });
  return done ? 0 : 1;
}

async function targetOf(context: CliContext, flags: CampbellFlags, address: string): Promise<Target> {
  const ca =
    flags.ca === undefined
      ? null
      : await readFile(resolve(context.cli.cwd, flags.ca)).catch(() => {
          throw new CliTrouble('NOT_FOUND', `cannot read ${flags.ca}`);
        });
  const connection = {
    name: 'bench',
    place: { file: 'command line', line: 1, column: 1 },
    type: 'mqtt',
    url: flags.url ?? '',
    username: flags.user ?? null,
    password: flags.password ?? null,
    clientId: null,
    ca,
    cert: null,
    key: null,
    presence: null,
    withdraw: null,
  } as const;
  return { connection, baseTopic: (flags.base ?? 'cs/v2').replace(/\/+$/, ''), address, dialect: flags.dialect ?? 'os80' };
}

function loggerIn(declared: Declared, id: string): DeclaredDevice {
  const row = declared.rowOf(deviceId(id));
  const device = row === undefined ? undefined : declared.deviceAt(row);
  if (device === undefined) throw new CliTrouble('UNKNOWN_DEVICE', `no device ${id} is declared; name an address with --url and --base`);
  if (device.family !== 'campbell' || device.address === null)
    throw new CliTrouble('OTHER_FAMILY', `${id} is no Campbell logger with an address`);
  return device;
}

function declaredTarget(declared: Declared, device: DeclaredDevice, flags: CampbellFlags): Target {
  const connection = declared.fleet.connections.get(device.via.connection);
  if (connection === undefined) throw new CliTrouble('NO_CONNECTION', `${device.via.connection} is not declared`);
  const { baseTopic, dialect } = device.options;
  const written = typeof baseTopic === 'string' ? baseTopic : 'cs/v2';
  return {
    connection,
    address: device.address ?? '',
    baseTopic: (flags.base ?? written).replace(/\/+$/, ''),
    dialect: flags.dialect ?? (dialect === 'legacy' || dialect === 'v2' ? dialect : 'os80'),
  };
}

/** Two who command one logger at a time cannot tell whose answer is whose. */
async function refuseWhileOpen(fleet: Fleet, declared: Declared, device: DeclaredDevice): Promise<void> {
  const ledger = await ledgerOf(fleet, declared);
  const open = fleet.world.fold(await ledger.read()).open.get(device.id)?.[0];
  if (open === undefined) return;
  const { item, declared: value } = open.operation;
  throw new CliTrouble('IN_FLIGHT', `a rollout is changing ${item} of ${device.id} to ${value}; wait for it, or say --force`);
}
