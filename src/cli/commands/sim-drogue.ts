import type { CliContext } from '#cli/context.ts';
import { CliTrouble, withTroubles } from '#cli/fleet.ts';
import { fileOf, named, pairsOf, runDevices, sharedParts } from './sim-device.ts';

export interface SimDrogueFlags {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly nodes?: number;
  readonly gateway?: string;
  readonly firmware: string;
  readonly profile: 'reference' | 'strict';
  readonly driver?: 'simulator' | 'embassy' | 'strict';
  readonly progress?: 'none' | 'ram' | 'persisted';
  readonly encoding: 'named' | 'packed' | 'json';
  readonly mtu: number;
  readonly up: string;
  readonly down: string;
  readonly telemetry?: string;
  readonly timing?: readonly string[];
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

/** Above that one process is short of descriptors. */
const MOST_NODES = 5000;

/** Simulated nodes that fetch firmware by Drogue DFU, on any MQTT broker, until Ctrl-C. */
export function simDrogue(context: CliContext, flags: SimDrogueFlags, ...given: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    const ids = [...given, ...numbered(flags.nodes ?? 0)];
    if (ids.length === 0)
      throw new CliTrouble('BAD_DEVICE', 'no node is named: write its name in the topics, node-01 for example, or --nodes 10');
    const { drogueAlone } = await import('#sim/alone.ts');
    const broker = {
      url: flags.url,
      ...(flags.user === undefined ? {} : { username: flags.user }),
      ...(flags.password === undefined ? {} : { password: flags.password }),
      ...(flags.ca === undefined ? {} : { ca: (await fileOf(context, flags.ca)).bytes }),
    };
    const alike = alikeOf(flags);
    const shared = await sharedParts(context, flags);
    const nodes = ids.map((id) => ({ ...alike, id }));
    const devices = named(() => drogueAlone(nodes, flags.gateway ?? null, { ...shared, broker }));
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

function numbered(count: number): readonly string[] {
  if (count > MOST_NODES) throw new CliTrouble('BAD_DEVICE', `one process holds ${MOST_NODES} nodes, not ${count}`);
  return Array.from({ length: count }, (_, index) => `node-${String(index + 1).padStart(4, '0')}`);
}

/** What the nodes of one command have in common. */
function alikeOf(flags: SimDrogueFlags) {
  const { firmware, profile, driver, progress, encoding, mtu, up, down, telemetry } = flags;
  return {
    firmware,
    profile,
    encoding,
    mtu,
    up,
    down,
    timings: timingsOf(flags.timing),
    ...(driver === undefined ? {} : { driver }),
    ...(progress === undefined ? {} : { progress }),
    ...(telemetry === undefined ? {} : { telemetry }),
  };
}

const TIMINGS = ['backoffMs', 'bootBackMs', 'powerCutMs', 'rebootMs', 'telemetryMs', 'timeoutMs'];

function timingsOf(written: readonly string[] | undefined): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(pairsOf(written, 'timing')).map(([name, value]) => {
      if (!TIMINGS.includes(name))
        throw new CliTrouble('BAD_DEVICE', `${JSON.stringify(name)} is no timing of a node; there are ${TIMINGS.join(', ')}`);
      if (!/^\d{1,9}$/.test(value)) throw new CliTrouble('BAD_DEVICE', `${name} is a number of milliseconds, not ${JSON.stringify(value)}`);
      return [name, Number(value)];
    }),
  );
}
