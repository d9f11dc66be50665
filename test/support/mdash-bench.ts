import { makeMongooseDevice, type MongooseSimOptions } from '#adapters/mongoose/sim.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Mdash } from '#ports/mdash.ts';
import type { SimDevice } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeMdash, SIM_MDASH_KEY, startMdash, type MdashServer, type SimMdash } from '#sim/mdash/mdash.ts';
import type { MdashSwitches } from '#sim/mdash/switches.ts';
import { makeSimPorts } from '#sim/ports.ts';
import { openMdash } from '#transports/mdash.ts';
import { BOARD, HARDWARE } from './mongoose-bench.ts';
import { memoryClient } from './shadow-wires.ts';

export interface MdashBenchOptions {
  readonly switches?: Partial<MdashSwitches>;
  readonly hardware?: Partial<MongooseSimOptions>;
  readonly faults?: JsonObject;
}

interface MdashBench<M extends SimMdash> {
  readonly clock: VirtualClock;
  readonly mdash: M;
  /** Connected, and one of the account's devices. */
  readonly board: SimDevice;
  /** Our client, over HTTP or in this process as the bench is; nothing moves the clock but `clock.run`. */
  readonly client: Mdash;
}

/** One board that mDash alone reaches, in memory on a virtual clock. */
export async function withMdash(run: (bench: MdashBench<SimMdash>) => Promise<void>, options: MdashBenchOptions = {}): Promise<void> {
  const clock = newClock();
  const mdash = makeMdash({ clock, switches: options.switches ?? {} });
  const client = openMdash({ url: 'https://mdash.sim', key: SIM_MDASH_KEY, clock, exchange: exchangeWith(mdash) });
  await withBoard({ clock, mdash, client }, options, run);
}

/** The same behind a real HTTP server. */
export async function withMdashServer(
  run: (bench: MdashBench<MdashServer>) => Promise<void>,
  options: MdashBenchOptions = {},
): Promise<void> {
  const clock = newClock();
  const mdash = await startMdash({ clock, switches: options.switches ?? {} });
  const client = openMdash({ url: mdash.url, key: SIM_MDASH_KEY });
  await withBoard({ clock, mdash, client }, options, run);
}

function newClock(): VirtualClock {
  return new VirtualClock(Date.UTC(2026, 10, 21, 12));
}

async function withBoard<M extends SimMdash>(
  { clock, mdash, client }: Omit<MdashBench<M>, 'board'>,
  { hardware = {}, faults = {} }: MdashBenchOptions,
  run: (bench: MdashBench<M>) => Promise<void>,
): Promise<void> {
  await clock.track(import('mqtt'));
  const board = boardAt(mdash, clock, hardware);
  for (const [name, value] of Object.entries(faults)) board.fault(name, value ?? null);
  await clock.run(board.powerOn());
  await clock.settled();
  try {
    await run({ clock, mdash, board, client });
  } finally {
    await clock.run(board.powerOff());
    await client.close();
    await mdash.close();
  }
}

/** Hardware of the account, switched off. */
export function boardAt(mdash: SimMdash, clock: VirtualClock, hardware: Partial<MongooseSimOptions> = {}): SimDevice {
  const id = hardware.id ?? BOARD;
  mdash.register(id);
  const ports = makeSimPorts({
    clock,
    seed: 1,
    id,
    connect: ({ clientId }) => memoryClient(mdash.broker, clock, { clientId }),
    objects: () => Promise.reject(new Error('a board has no bucket')),
    get: () => Promise.reject(new WireError('ECONNREFUSED', 'later', 'nothing else is reached')),
  });
  const board = makeMongooseDevice({ ...HARDWARE, ...hardware }, ports);
  // It has the library of mDash in the place of the one for AWS.
  board.fault('rpcOnly', true);
  return board;
}

function exchangeWith(mdash: SimMdash): HttpExchange {
  return async (request) => {
    const answer = await mdash.handle(request);
    if (answer === 'close' || answer === 'hang') throw new WireError('ECONNRESET', 'later', 'the connection was cut');
    return answer;
  };
}
